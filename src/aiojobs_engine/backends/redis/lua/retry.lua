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

-- Takes a member that starts anew back into its batch, or out of it when the batch takes it no more.
local function rejoin(job, x)
  local batch = job.x.parent and get(job.x.parent)
  if not batch then return end
  change(batch)
  if batch.code == WAITING and not batch.x.cancelling then
    local sums = counters(batch)
    batch.x.open = batch.x.open + 1
    batch.x.counters = {sums[1], sums[2] - 1, sums[3], sums[4]}
    x.parent, x.member = batch.seq, true
  else
    redis.call('ZREM', P .. 'chunks:' .. batch.seq, job.seq)
    batch.x.chunks = batch.x.chunks - 1
    x.left = true
    job.parent = 'null'
  end
end

for index = 1, #request do
  local job = jobs[index]
  answers[index] = 0
  if job and is_legal(job) then
    for _, chunk in ipairs(chunks_of(job)) do remove(chunk) end
    redis.call('DEL', P .. 'chunks:' .. job.seq, P .. 'rows:' .. job.seq, P .. 'faults:' .. job.seq)
    redis.call('ZREM', KEPT, job.seq)
    local epoch = (job.x.epoch or 0) + 1
    unshelve(job)
    local old = job.x
    local x = {epoch = epoch, due = now, free = true, unique = old.unique, left = old.left, line = old.line,
      of = old.of, cost = old.cost, fair = old.fair, turn = old.turn}
    rejoin(job, x)
    job.x = x
    job.result, job.started, job.finished, job.attempts, job.crashes = false, false, false, 0, 0
    job.code = PENDING
    shelve(job)
    change(job)
    tell('JobRetrying', job, ',"",' .. at)
    answers[index] = 1
  end
end
save()
return {finish(), answers}
