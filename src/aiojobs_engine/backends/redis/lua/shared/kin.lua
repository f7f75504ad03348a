--[[ New jobs, and what the end of a job does to its kin: to its parent, to its chunks or members, and to those that
wait for it.
]]
local NO_ROW = {'rows', 'no row succeeded'}
local NO_MEMBER = {'batch', 'no job of the batch succeeded'}
local GATHERING = {export = true} -- kinds that run again when their last chunk has ended
local PROGRESS_EVERY = 250
local end_if_done, cancel_chunks
local looked_at = {}

local function set_flow(x, flow)
  x.line, x.of = flow[1] or nil, flow[1] and {flow[2], flow[3]} or nil
  x.cost = flow[4] ~= 1 and flow[4] or nil
  x.fair = flow[5] and {flow[5], flow[6], flow[2]} or nil
end

-- Stores new jobs with their `JobCreated`; each is {id, number of its body, due or false, lane as JSON, unique or
-- false, flow or false}. What is unique begins with the digest of its key, flow is {line or false, queue, type, cost,
-- fair key or false, weight}. Answers the first place.
local function add(jobs, parent, is_reopened, waits)
  if #jobs == 0 then return end
  local first = places(#jobs)
  local ids, bodies, lanes, ready, events, flowing = {}, {}, {}, {}, #told, {}
  for index, given in ipairs(jobs) do
    local seq, body = format_place(first + index - 1), ARGV[5 + given[2]]
    local lane, due, unique = string.sub(body, 8, 15), given[3], given[5] and given[5][1]
    local ident, user, kin, flags = pieces(body)
    local priority, expires, total = 0, -1, 0
    if flags ~= 0 then
      local _, _, _, _, _, own_priority, own_expires, _, own_total = struct.unpack(HEAD, body)
      priority, expires, total = own_priority, own_expires, own_total
    end
    local code = waits and WAITING or (not due or due <= now) and PENDING or SCHEDULED
    ids[2 * index - 1], ids[2 * index] = seq, given[1]
    bodies[2 * index - 1], bodies[2 * index] = seq, body
    local flow = given[6]
    if due or parent or unique or waits or flow then
      local x = {due = due or nil, unique = unique or nil}
      if flow then set_flow(x, flow) end
      if parent then x.parent, x.reopened, x.member = parent.seq, is_reopened or nil, parent.x.batch end
      redis.call('HSET', STATE, seq, cmsgpack.pack({code, 0, 0, 0, false, false, false, lane,
        next(x) and x or false, false}))
    end
    local entries = ready[lane]
    if not entries then
      lanes[lane] = given[4]
      entries = {size = 0, others = 0}
      ready[lane] = entries
    end
    if code == PENDING and flow and (flow[1] or flow[5]) then
      flowing[#flowing + 1] = seq
      count(lane, PENDING, 1)
    elseif code == PENDING then
      local size = entries.size
      entries[size + 1], entries[size + 2] = -priority, seq
      entries.size = size + 2
    else
      entries.others = entries.others + 1
      if not waits then redis.call('ZADD', DUE, string.format('%.0f', due), seq) end
    end
    if expires >= 0 and not waits then redis.call('ZADD', EXPIRING, string.format('%.0f', expires), seq) end
    if parent then redis.call('ZADD', P .. 'chunks:' .. parent.seq, 0, seq) end
    if unique then redis.call('ZADD', P .. 'uniques', 0, unique .. ':' .. seq) end
    told[events + index] = '["JobCreated",' .. ident .. ',"' .. NAMES[code] .. '",0,' .. total .. ',0,0,' .. user
      .. ',0,' .. at .. ',"",' .. kin .. ']'
  end
  send('ZADD', JOBS, ids)
  send('HSET', BODY, bodies)
  for lane, entries in pairs(ready) do
    redis.call('HSETNX', P .. 'lanes', lane, lanes[lane])
    send('ZADD', LANE .. lane, entries)
    if entries.size > 0 then wake_for(lane, entries.size / 2) end
    count(lane, PENDING, entries.size / 2)
    count(lane, waits and WAITING or SCHEDULED, entries.others)
  end
  load(flowing)
  for _, seq in ipairs(flowing) do put_pending(ledger[seq]) end
  if parent then
    parent.x.chunks = (parent.x.chunks or 0) + #jobs
    parent.x.open = (parent.x.open or 0) + #jobs
    change(parent)
  end
  return format_place(first)
end

local function chunks_of(job)
  if not has_chunks(job) then return {} end
  local seqs = redis.call('ZRANGE', P .. 'chunks:' .. job.seq, 0, -1)
  load(seqs)
  local found = {}
  for _, seq in ipairs(seqs) do
    if ledger[seq] then found[#found + 1] = ledger[seq] end
  end
  return found
end

local function resolve_rows(job, rows)
  local key, resolved = P .. 'faults:' .. job.seq, 0
  for _, row in ipairs(rows) do
    local stored = redis.call('HGET', key, string.format('%.0f', row))
    local fault = stored and cmsgpack.unpack(stored)
    if fault and not fault[3] then
      fault[2][#fault[2] + 1] = {now, '', false, true}
      fault[3] = true
      redis.call('HSET', key, string.format('%.0f', row), cmsgpack.pack(fault))
      resolved = resolved + 1
    end
  end
  return resolved
end

-- Keeps failed rows of a job; each is {row, its JSON, message, field or false}.
local function note_faults(seq, faults)
  local key = P .. 'faults:' .. seq
  for _, fault in ipairs(faults) do
    local row = string.format('%.0f', fault[1])
    local stored = redis.call('HGET', key, row)
    local history = stored and cmsgpack.unpack(stored)[2] or {}
    history[#history + 1] = {now, fault[3], fault[4], false}
    redis.call('HSET', key, row, cmsgpack.pack({fault[2], history, false}))
    redis.call('ZADD', P .. 'rows:' .. seq, row, row)
  end
end

local function failed_members(job)
  return job.x.batch and counters(job)[2] or 0
end

local function close(job, parent, resolved)
  parent.x.open = parent.x.open - 1
  local sums, own = counters(parent), counters(job)
  if parent.x.batch then
    local good = job.code == COMPLETED and 1 or 0
    parent.x.counters = {sums[1] + good, sums[2] + 1 - good, 0, sums[4]}
    if good == 0 and sums[2] == 0 and parent.x.waited then looked_at[#looked_at + 1] = parent end
  elseif resolved or job.x.reopened then
    local mended = resolve_rows(parent, resolved or {})
    parent.x.counters = {sums[1] + mended, sums[2] - mended, sums[3], sums[4]}
  else
    local good, bad = sums[1] + own[1], sums[2] + own[2]
    parent.x.counters = {good, bad, sums[3] + own[3], math.max(sums[4], good + bad)}
  end
  change(parent)
  end_if_done(parent)
end

local function tell_progress(parent)
  local since = parent.x.told and now - parent.x.told
  if parent.code >= COMPLETED or (since and since >= 0 and since < PROGRESS_EVERY) then return end
  parent.x.told = now
  change(parent)
  tell('JobProgressed', parent, ',' .. (parent.x.message and cjson.encode(parent.x.message) or 'null'))
end

-- Closes a job that ended at its parent, and takes its own open chunks along.
local function after_end(job, resolved, is_settled)
  job.x.cancelling, job.x.pausing, job.x.needs = nil, nil, nil
  if job.x.waited then looked_at[#looked_at + 1] = job end
  local parent = job.x.parent and get(job.x.parent)
  if parent then
    close(job, parent, resolved)
    if is_settled then tell_progress(parent) end
  end
  if (job.x.open or 0) > 0 then cancel_chunks(job) end
end

local function end_queued(job, code, kind)
  move(job, code)
  tell(kind, job)
  after_end(job)
end

-- Cancels a job that waits: at once, or with the last of its chunks or members.
local function cancel_waiting(job)
  job.x.cancelling = true
  change(job)
  cancel_chunks(job)
  end_if_done(job)
end

cancel_chunks = function(parent)
  for _, chunk in ipairs(chunks_of(parent)) do
    if is_queued(chunk.code) then
      end_queued(chunk, CANCELLED, 'JobCancelled')
    elseif chunk.code == PROCESSING then
      chunk.x.cancelling = true
      change(chunk)
    elseif chunk.code == WAITING and not chunk.x.cancelling then
      cancel_waiting(chunk)
    end
  end
end

-- Ends a parent that waits for no chunk or member any more.
end_if_done = function(parent)
  if parent.code ~= WAITING or (parent.x.open or 0) > 0 then return end
  if parent.x.needs and not parent.x.cancelling then return end
  local sums = counters(parent)
  if parent.x.cancelling then
    move(parent, CANCELLED)
    tell('JobCancelled', parent)
  elseif GATHERING[cjson.decode('[' .. parent.ident .. ']')[3]] then
    parent.x.due = now
    move(parent, PENDING)
    return
  elseif sums[2] > 0 and sums[1] == 0 then
    local why = parent.x.batch and NO_MEMBER or NO_ROW
    parent.x.error = '{"type":"' .. why[1] .. '","message":"' .. why[2] .. '","reason":"' .. why[1] .. '"}'
    move(parent, FAILED)
    tell('JobFailed', parent, ',"' .. why[2] .. '","' .. why[1] .. '"')
  else
    move(parent, sums[2] == 0 and COMPLETED or PARTIAL)
    tell('JobCompleted', parent)
  end
  after_end(parent)
end

-- Cancels a job as its status allows; whether it takes effect, now or later.
local function cancel(job)
  if is_queued(job.code) then
    end_queued(job, CANCELLED, 'JobCancelled')
  elseif job.code == WAITING then
    cancel_waiting(job)
  elseif job.code == PROCESSING then
    job.x.cancelling = true
    change(job)
  else
    return false
  end
  return true
end

-- Parks a queued job, flags a running one; whether the table allows it.
local function pause(job)
  if job.code == PROCESSING then
    job.x.pausing = true
    change(job)
  elseif job.code == SCHEDULED or job.code == PENDING or job.code == RETRYING then
    move(job, PAUSED)
    tell('JobInterrupted', job)
  else
    return false
  end
  return true
end

local function id_of(job)
  return cjson.decode('[' .. job.ident .. ']')[1]
end

local function is_chunk(job)
  return job.x.parent and not job.x.member
end

-- Whether a need is met by a job, for good or never any more; nil is not known yet.
local function verdict(when, job)
  if when == 'failure' and failed_members(job) > 0 then return true end
  if job.code < COMPLETED then return nil end
  return when == 'end' or (job.code == COMPLETED) == (when == 'success')
end

-- Why a job was cancelled that waited for another one; without a code that one was removed.
local function unmet(job, code)
  local how = code and 'ended as ' .. NAMES[code] or 'was removed'
  return '{"type":"' .. (code and 'dependency' or 'removed') .. '","message":"the job ' .. id_of(job) .. ' ' .. how
    .. '","reason":"dependency"}'
end

-- The jobs that wait for one, each with the end that it waits for; nobody waits for it any more.
local function take_dependents(job)
  if not job.x.waited then return {} end
  job.x.waited = nil
  change(job)
  local key, found, seqs = P .. 'dependents:' .. job.seq, {}, {}
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    local seq, when = string.match(member, '^(%d+):(%a+)$')
    seqs[#seqs + 1] = seq
    found[#found + 1] = {seq, when}
  end
  redis.call('DEL', key)
  load(seqs)
  return found
end

local function wait_for(job, when, former)
  redis.call('ZADD', P .. 'dependents:' .. former.seq, 0, job.seq .. ':' .. when)
  former.x.waited = true
  change(former)
end

-- One need of a job is met; with the last one it can be claimed, now or when it is due.
local function meet(job)
  job.x.needs = job.x.needs > 1 and job.x.needs - 1 or nil
  change(job)
  if job.x.needs then return end
  local is_due = not job.x.due or job.x.due <= now
  if is_due then job.x.due = now end
  move(job, is_due and PENDING or SCHEDULED)
end

-- Notes in which of its epochs a job was cancelled because another one ended as it did.
local function lose(former, job)
  redis.call('ZADD', P .. 'lost:' .. former.seq, 0, job.seq .. ':' .. (job.x.epoch or 0))
end

local function give_up(job, why)
  job.x.error = why
  cancel_waiting(job)
end

-- Looks at what others wait for, until nothing follows.
follow = function()
  while #looked_at > 0 do
    local former = table.remove(looked_at)
    for _, each in ipairs(take_dependents(former)) do
      local job, is_met = ledger[each[1]], verdict(each[2], former)
      if job and is_met == nil then
        wait_for(job, each[2], former)
      elseif job and is_met and job.x.needs then
        meet(job)
      elseif job and not is_met then
        if job.x.needs then give_up(job, unmet(former, former.code)) end
        lose(former, job)
      end
    end
  end
end

-- Cancels what waits for a job that is removed, or for its members.
local function abandon(job)
  for _, each in ipairs(take_dependents(job)) do
    local dependent = ledger[each[1]]
    if dependent and dependent.x.needs then give_up(dependent, unmet(job)) end
  end
  for _, member in ipairs(chunks_of(job)) do abandon(member) end
end

-- Forgets a job with its chunks or members, and its failures.
local function remove(job)
  for _, chunk in ipairs(chunks_of(job)) do remove(chunk) end
  unshelve(job)
  redis.call('ZREM', KEPT, job.seq)
  redis.call('ZREM', JOBS, id_of(job))
  if job.x.unique then redis.call('ZREM', P .. 'uniques', job.x.unique .. ':' .. job.seq) end
  redis.call('HDEL', STATE, job.seq)
  redis.call('HDEL', BODY, job.seq)
  redis.call('DEL', P .. 'chunks:' .. job.seq, P .. 'rows:' .. job.seq, P .. 'faults:' .. job.seq,
    P .. 'dependents:' .. job.seq, P .. 'lost:' .. job.seq)
  job.removed = true
  ledger[job.seq] = false
end

local function is_running(job)
  if job.code == PROCESSING then return true end
  for _, chunk in ipairs(chunks_of(job)) do
    if is_running(chunk) then return true end
  end
  return false
end

-- Ends at most `limit` queued jobs past their time; how many.
local function expire(limit)
  local seqs = redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', at, 'LIMIT', 0, limit)
  load(seqs)
  local ended = 0
  for _, seq in ipairs(seqs) do
    local job = ledger[seq]
    if job and is_queued(job.code) then
      end_queued(job, EXPIRED, 'JobExpired')
      ended = ended + 1
    else
      redis.call('ZREM', EXPIRING, seq)
    end
  end
  return ended
end
