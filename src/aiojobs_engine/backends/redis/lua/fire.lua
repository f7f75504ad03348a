#!lua
--[[ Fires entries, each with its job, its history and its next state.

Uses base, ledger, limits, flow, kin, links.
Request  fires, each {name, revision, instant, job as in `enqueue` or false, missed from or false, true by hand,
         waits for or false}
Returns  the events' entry, then of each its outcome and up to where the entry is settled
]]
local HISTORY = 100
local answers = {}

-- Whether a fire is skipped because what it depends on has not succeeded, or is gone.
local function holds(fire)
  if not fire[4] then return fire[7] end
  for _, need in ipairs(fire[4][7] and fire[4][7][3] or {}) do
    if not redis.call('ZSCORE', JOBS, need[1]) then return true end
  end
  return false
end

local function outcome_of(entry, fire, is_held)
  if is_held then return 'skipped' end
  if fire[6] then return 'by_hand' end
  if not fire[4] then return 'missed' end
  if entry.overlap == 'queue' then return 'fired' end
  local ids = {}
  for _, told in ipairs(redis.call('LRANGE', P .. 'fires:' .. fire[1], 0, -1)) do
    local id = cjson.decode(string.match(told, '^%d+ (.*)$')).job_id
    if id and id ~= cjson.null then ids[#ids + 1] = id end
  end
  local is_running = false
  for _, job in ipairs(by_ids(ids)) do
    if job and job.code < COMPLETED then
      if entry.overlap == 'cancel_running' then cancel(job) else is_running = true end
    end
  end
  return is_running and 'skipped' or 'fired'
end

local function fire_entry(fire)
  local stored = redis.call('HGET', P .. 'crons', fire[1])
  local entry = stored and cmsgpack.unpack(stored)
  if not entry then return 'refused', 0 end
  if not fire[6] then
    if not entry.enabled or entry.revision ~= fire[2] then return 'refused', entry.settled end
    if fire[3] <= entry.settled then return 'settled', entry.settled end
    entry.settled = fire[3]
    redis.call('HSET', P .. 'crons', fire[1], cmsgpack.pack(entry))
  end
  local is_held = holds(fire)
  local outcome = outcome_of(entry, fire, is_held)
  local is_stored = fire[4] and outcome ~= 'skipped'
  if is_stored and not redis.call('ZSCORE', JOBS, fire[4][1]) then
    local job = fire[4][7] and add_linked(fire[4])
    if job and job.x.error and job.code == WAITING then cancel_waiting(job) end
    if not job then add({fire[4]}) end
  end
  local told = '{"name":' .. cjson.encode(fire[1]) .. ',"at":' .. string.format('%.0f', fire[3]) .. ',"fired_at":' .. at
    .. ',"outcome":"' .. outcome .. '"' .. (is_stored and ',"job_id":' .. cjson.encode(fire[4][1]) or '')
    .. (fire[5] and ',"missed_from":' .. string.format('%.0f', fire[5]) or '')
    .. (is_held and fire[7] and ',"waits_for":' .. cjson.encode(fire[7]) or '') .. '}'
  redis.call('LPUSH', P .. 'fires:' .. fire[1], redis.call('HINCRBY', META, 'fires', 1) .. ' ' .. told)
  redis.call('LTRIM', P .. 'fires:' .. fire[1], 0, HISTORY - 1)
  return outcome, entry.settled
end

for index, fire in ipairs(request) do
  local outcome, settled = fire_entry(fire)
  answers[2 * index - 1], answers[2 * index] = outcome, string.format('%.0f', settled)
end
save()
return {finish(), answers}
