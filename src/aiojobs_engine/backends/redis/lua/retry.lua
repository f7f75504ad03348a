#!lua flags=allow-oom
--[[ Starts final jobs anew, in a new epoch; bulk jobs lose the chunks and failures of the last one.

Uses base, ledger, limits, flow, kin.
Request  ids
Returns  the events' entry, then of each 1 when it was allowed
]]
local answers, jobs = {}, by_ids(request)

local function is_legal(job)
  return not is_chunk(job) and not job.x.batch and not job.removed and (job.code == FAILED or job.code == CANCELLED
    or job.code == DISCARDED or job.code == EXPIRED)
end

local function wait_again(job)
  job.x.epoch, job.x.error = (job.x.epoch or 0) + 1, nil
  job.code, job.finished = WAITING, false
  shelve(job)
  change(job)
  tell('JobRetrying', job, ',"",' .. at)
end

-- Takes a member that starts anew, and stands on no shelf, back into its batch, or out of one that is cancelled; the
-- batches that wait again for it follow `anew`.
local function rejoin(job, anew)
  local batch = job.x.parent and get(job.x.parent)
  if not batch then return end
  local ended_badly = batch.code == FAILED or batch.code == PARTIAL
  change(batch)
  if batch.x.cancelling or not (ended_badly or batch.code == WAITING) then
    redis.call('ZREM', P .. 'chunks:' .. batch.seq, job.seq)
    batch.x.chunks = batch.x.chunks - 1
    job.x.parent, job.x.member, job.x.left, job.parent = nil, nil, true, 'null'
    return
  end
  if ended_badly then
    unshelve(batch)
    rejoin(batch, anew)
  end
  local sums = counters(batch)
  batch.x.open = (batch.x.open or 0) + 1
  batch.x.counters = {sums[1], sums[2] - 1, sums[3], sums[4]}
  if ended_badly then
    wait_again(batch)
    anew[#anew + 1] = batch
  end
end

-- What a stored job needs, each as {id, end}; nil when it can't be read any more.
local function needs_of(job)
  local body = redis.call('HGET', BODY, job.seq)
  local a, b, c, d, e, f = string.byte(body, 1, 6)
  local head = HEAD_BYTES + a + 256 * b + c + 256 * d + e + 256 * f
  local is_read, envelope = pcall(cjson.decode, string.sub(body, head + 1))
  return is_read and envelope.needs or nil
end

-- The jobs that are not done yet of those that one needs, each as {job, end}; nil when a need can't be met.
local function open_formers(job)
  local found, seen = {}, {}
  for _, need in ipairs(needs_of(job) or {}) do
    local id, when = need[1], need[2] or 'success'
    local former = by_ids({id})[1]
    local is_met = not former or verdict(when, former)
    if is_met == false then return nil end
    if is_met == nil and not seen[id .. ' ' .. when] then
      seen[id .. ' ' .. when] = true
      found[#found + 1] = {former, when}
    end
  end
  return #found > 0 and found or nil
end

-- Lets a job wait again that was cancelled for want of another one, unless one of its needs can't be met.
local function revive_one(job, anew)
  local formers = open_formers(job)
  if not formers then return false end
  unshelve(job)
  rejoin(job, anew)
  for _, each in ipairs(formers) do wait_for(job, each[2], each[1]) end
  job.x.needs, job.x.free = #formers, true
  wait_again(job)
  anew[#anew + 1] = job
  return true
end

-- Lets those wait again that were cancelled for want of jobs that start anew, and those behind them.
local function revive(anew)
  local at_job = 1
  while anew[at_job] do
    local key = P .. 'lost:' .. anew[at_job].seq
    local lost, seqs = redis.call('ZRANGE', key, 0, -1), {}
    for index, member in ipairs(lost) do seqs[index] = string.match(member, '^(%d+):') end
    load(seqs)
    for index, member in ipairs(lost) do
      local job = ledger[seqs[index]]
      local is_lost = job and not job.removed and member == job.seq .. ':' .. (job.x.epoch or 0)
        and job.code == CANCELLED and job.x.error and cjson.decode(job.x.error).type == 'dependency'
      if not is_lost or revive_one(job, anew) then redis.call('ZREM', key, member) end
    end
    at_job = at_job + 1
  end
end

local anew = {}
for index = 1, #request do
  local job = jobs[index]
  answers[index] = 0
  if job and is_legal(job) then
    for _, chunk in ipairs(chunks_of(job)) do remove(chunk) end
    redis.call('DEL', P .. 'chunks:' .. job.seq, P .. 'rows:' .. job.seq, P .. 'faults:' .. job.seq)
    redis.call('ZREM', KEPT, job.seq)
    unshelve(job)
    local old = job.x
    job.x = {epoch = (old.epoch or 0) + 1, due = now, free = true, unique = old.unique, left = old.left,
      line = old.line, of = old.of, cost = old.cost, fair = old.fair, turn = old.turn, parent = old.parent,
      member = old.member}
    rejoin(job, anew)
    job.result, job.started, job.finished, job.attempts, job.crashes = false, false, false, 0, 0
    job.code = PENDING
    shelve(job)
    change(job)
    tell('JobRetrying', job, ',"",' .. at)
    anew[#anew + 1] = job
    answers[index] = 1
  end
end
revive(anew)
save()
return {finish(), answers}
