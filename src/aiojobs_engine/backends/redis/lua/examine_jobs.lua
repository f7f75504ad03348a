#!lua flags=no-writes
--[[ Looks whether jobs stand where their state says: a page of them, in the order of acceptance.

Uses base, ledger, limits, flow.
Request  {the place after which the page begins as a bound of scores, how many}
Returns  the last place or false, {name of what is wrong, id of the job} in a row, lane and code of each job
]]
local page = redis.call('ZRANGEBYSCORE', JOBS, request[1], '+inf', 'WITHSCORES', 'LIMIT', 0, request[2])
local MEMBERS = 1000
local ids, seqs, wrong, standing = {}, {}, {}, {}
for index = 1, #page, 2 do
  ids[#ids + 1] = page[index]
  seqs[#seqs + 1] = string.format('%.0f', page[index + 1])
end
local states, bodies = fetch('HMGET', STATE, seqs), fetch('HMGET', BODY, seqs)

local function is_in(key, member)
  return redis.call('ZSCORE', key, member) and true or false
end

local function is_listed(job)
  local name, line = name_of(job), job.x.line
  if not line then return is_in(LANE .. job.lane, name) end
  local is_open = is_in(LANE .. job.lane, name) and is_in(P .. 'open:' .. line, name)
  return is_open ~= is_in(P .. 'parked:' .. line, name)
end

local function is_counted(job)
  local members = redis.call('ZCARD', P .. 'chunks:' .. job.seq)
  if members ~= (job.x.chunks or 0) then return false end
  if members == 0 or members > MEMBERS then return true end
  local open = 0
  for _, state in ipairs(fetch('HMGET', STATE, redis.call('ZRANGE', P .. 'chunks:' .. job.seq, 0, -1))) do
    if not state or cmsgpack.unpack(state)[1] < COMPLETED then open = open + 1 end
  end
  return open == (job.x.open or 0)
end

local function ailment_of(job)
  local code, x = job.code, job.x
  if code == PENDING and not is_listed(job) then return 'unlisted' end
  if (code == SCHEDULED or code == RETRYING) and not is_in(DUE, job.seq) then return 'undue' end
  if code == PROCESSING and not is_in(LEASES, job.seq) then return 'unleased' end
  if code >= COMPLETED and not x.parent and not is_in(ENDED .. code, job.seq) then return 'unended' end
  if is_queued(code) and may_expire(job) and not is_in(EXPIRING, job.seq) then return 'unexpiring' end
  if x.unique and not is_in(P .. 'uniques', x.unique .. ':' .. job.seq) then return 'ununique' end
  if x.parent and not is_in(P .. 'chunks:' .. x.parent, job.seq) then return 'unchained' end
  if job.result and x.ends and not is_in(KEPT, job.seq) then return 'unkept' end
  if code == WAITING and not is_counted(job) then return 'miscounted' end
  if code == WAITING and (x.open or 0) == 0 and not x.needs then return 'stuck' end
  return nil
end

for index, seq in ipairs(seqs) do
  local name
  if not bodies[index] then
    name = 'bodiless'
  else
    local is_whole, job = pcall(job_of, seq, states[index], bodies[index])
    local has_id, own = pcall(cjson.decode, '[' .. (is_whole and job.ident or '?') .. ']')
    if not has_id or own[1] ~= ids[index] then
      name = 'damaged'
    else
      name = ailment_of(job)
      standing[#standing + 1] = job.lane .. job.code
    end
  end
  if name then
    wrong[#wrong + 1] = name
    wrong[#wrong + 1] = ids[index]
  end
end
return {seqs[#seqs] or false, wrong, standing}
