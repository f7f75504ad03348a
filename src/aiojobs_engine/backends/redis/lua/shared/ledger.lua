--[[ Jobs that a script changes one by one: read together, moved, written together.

A job is a table: what its state holds by name, `x` for what few jobs have, and what stands before its body.
]]
local ledger, order = {}, {}
local follow, look_at_lines = function() end, function() end
local put_pending, take_pending, end_running

local function job_of(seq, state, body)
  local _, _, _, _, lane, priority, expires, created, total = struct.unpack(HEAD, body)
  local ident, user, parent = pieces(body)
  local job = {
    seq = seq, lane = lane, priority = priority, expires = expires, created = created, total = total,
    ident = ident, user = user, parent = parent,
    code = PENDING, token = 0, attempts = 0, crashes = 0, started = false, finished = false, worker = false,
    x = {}, result = false, ahead = false,
  }
  if state then
    local s = cmsgpack.unpack(state)
    job.code, job.token, job.attempts, job.crashes, job.started = s[1], s[2], s[3], s[4], s[5]
    job.finished, job.worker, job.x, job.result, job.ahead = s[6], s[7], s[9] or {}, s[10], s[11]
    if job.x.left then job.parent = 'null' end
  end
  return job
end

local function load(seqs)
  local missing = {}
  for _, seq in ipairs(seqs) do
    if ledger[seq] == nil then
      ledger[seq] = false
      missing[#missing + 1] = seq
    end
  end
  local states, bodies = fetch('HMGET', STATE, missing), fetch('HMGET', BODY, missing)
  for index, seq in ipairs(missing) do
    if bodies[index] then ledger[seq] = job_of(seq, states[index], bodies[index]) end
  end
end

local function get(seq)
  if ledger[seq] == nil then load({seq}) end
  return ledger[seq]
end

-- The jobs of some ids, false for unknown ones.
local function by_ids(ids)
  local found, known = fetch('ZMSCORE', JOBS, ids), {}
  for _, seq in ipairs(found) do
    if seq then known[#known + 1] = seq end
  end
  load(known)
  for index, seq in ipairs(found) do found[index] = seq and ledger[seq] end
  return found
end

local function change(job)
  if not job.changed then
    job.changed = true
    order[#order + 1] = job
  end
end

local function packed(job)
  return cmsgpack.pack({job.code, job.token, job.attempts, job.crashes, job.started, job.finished, job.worker,
    job.lane, next(job.x) and job.x or false, job.result, job.ahead or nil})
end

-- Writes what has changed, once nothing more follows from it.
local function save()
  follow()
  look_at_lines()
  local fields = {}
  for _, job in ipairs(order) do
    if not job.removed then
      fields[#fields + 1] = job.seq
      fields[#fields + 1] = packed(job)
    end
    job.changed = false
  end
  order = {}
  send('HSET', STATE, fields)
end

local function is_queued(code)
  return code == SCHEDULED or code == PENDING or code == RETRYING or code == PAUSED
end

local function may_expire(job)
  return job.expires >= 0 and not job.x.free
end

local function shelve(job)
  local code = job.code
  count(job.lane, code, 1)
  if code == PENDING then
    put_pending(job)
  elseif code == SCHEDULED or code == RETRYING then
    redis.call('ZADD', DUE, string.format('%.0f', job.x.due or now), job.seq)
  elseif code >= COMPLETED and not job.x.parent then
    redis.call('ZADD', ENDED .. code, at, job.seq)
  end
  if may_expire(job) and is_queued(code) then
    redis.call('ZADD', EXPIRING, string.format('%.0f', job.expires), job.seq)
  end
end

local function unshelve(job)
  local code = job.code
  count(job.lane, code, -1)
  if code == PROCESSING then
    redis.call('ZREM', LEASES, job.seq)
    end_running(job)
  elseif code == PENDING then
    take_pending(job)
  elseif code == SCHEDULED or code == RETRYING then
    redis.call('ZREM', DUE, job.seq)
  elseif code >= COMPLETED and not job.x.parent then
    redis.call('ZREM', ENDED .. code, job.seq)
  end
  if may_expire(job) and is_queued(code) then redis.call('ZREM', EXPIRING, job.seq) end
end

local function move(job, code)
  unshelve(job)
  job.code = code
  job.finished = code >= COMPLETED and now
  if code ~= PROCESSING then job.worker, job.ahead = false, false end
  shelve(job)
  change(job)
end

local function counters(job)
  return job.x.counters or {0, 0, 0, job.total}
end

local function has_chunks(job)
  return (job.x.chunks or 0) > 0
end

-- The counters of a new run: those of the last checkpoint under the present total.
local function kept_counters(job)
  local present, kept = counters(job), job.x.kept or {0, 0, 0}
  if has_chunks(job) then return present end
  return {kept[1], kept[2], kept[3], math.max(present[4], kept[1] + kept[2])}
end

-- Takes in what a run says of itself.
local function report(job, counted, message, cursor)
  if counted and not has_chunks(job) then job.x.counters = counted end
  if message then job.x.message = message end
  if cursor then
    job.x.cursor = cursor ~= '' and cursor or nil
    local sums = counters(job)
    job.x.kept = cursor ~= '' and {sums[1], sums[2], sums[3]} or nil
  end
  change(job)
end

-- Tells an event about a job as it stands; `own` are the kind's own fields as JSON, each after a comma.
local function tell(kind, job, own)
  local sums = counters(job)
  local attempt = job.attempts + (job.code == PROCESSING and 1 or 0)
  told[#told + 1] = '["' .. kind .. '",' .. job.ident .. ',"' .. NAMES[job.code] .. '",' .. sums[1] + sums[2]
    .. ',' .. sums[4] .. ',' .. sums[1] .. ',' .. sums[2] .. ',' .. job.user .. ',' .. attempt .. ',' .. at
    .. ',"",' .. job.parent .. (own or '') .. ']'
end
