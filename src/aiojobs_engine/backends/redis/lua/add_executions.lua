#!lua
--[[ Stores runs that are not there yet, and lets go of the oldest.

Uses base.
Request  {runs, number to keep, ms that they stay}; each run is {key, record, job, type, cron or ''}
Returns  nothing
]]
local LOG, ORDER, TRIMMED = P .. 'executions', P .. 'executed', 1000
local keep, age = request[2], request[3]

local keys, fields, members = {}, {}, {}
for index, run in ipairs(request[1]) do keys[index] = run[1] end
local known = fetch('HMGET', LOG, keys)

-- Where a run stands: among all, those of its job, of its type, and of its cron entry.
local function places(key, job, type, cron, into)
  into[#into + 1] = 'a\0' .. key
  into[#into + 1] = 'j' .. job .. '\0' .. key
  into[#into + 1] = 't' .. type .. '\0' .. key
  if cron ~= '' then into[#into + 1] = 'c' .. cron .. '\0' .. key end
  return into
end

local seen = {}
for index, run in ipairs(request[1]) do
  if not known[index] and not seen[run[1]] then
    seen[run[1]] = true
    fields[#fields + 1] = run[1]
    fields[#fields + 1] = cmsgpack.pack({run[3], run[4], run[5], run[2]})
    for _, place in ipairs(places(run[1], run[3], run[4], run[5], {})) do
      members[#members + 1] = 0
      members[#members + 1] = place
    end
  end
end
send('HSET', LOG, fields)
send('ZADD', ORDER, members)

local surplus = redis.call('HLEN', LOG) - keep
local gone, left = {}, {}
for index, place in ipairs(redis.call('ZRANGE', ORDER, '[a\0', '(a\1', 'BYLEX', 'LIMIT', 0, TRIMMED + #keys)) do
  local key = string.sub(place, 3)
  if index > surplus and tonumber(string.sub(key, 1, 16)) > now - age then break end
  gone[#gone + 1] = key
end
for index, body in ipairs(fetch('HMGET', LOG, gone)) do
  if body then
    local run = cmsgpack.unpack(body)
    places(gone[index], run[1], run[2], run[3], left)
  end
end
send('HDEL', LOG, gone)
send('ZREM', ORDER, left)
return false
