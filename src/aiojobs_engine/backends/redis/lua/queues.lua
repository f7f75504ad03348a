#!lua flags=no-writes
--[[ Reads lanes, counts, paused queues, and since when the oldest pending jobs of queues have been due.

Uses base, ledger, limits, flow.
Request  how many pending jobs to look at in each lane and line
Returns  now, lanes and JSON, fields and counts, paused queues, queues and instants
]]
local lanes, oldest = redis.call('HGETALL', P .. 'lanes'), {}

local function look_through(queue, key)
  local places = redis.call('ZRANGE', key, 0, request - 1)
  for index, name in ipairs(places) do places[index] = place_of(name) end
  local states, bodies = fetch('HMGET', STATE, places), fetch('HMGET', BODY, places)
  for index, body in ipairs(bodies) do
    local due = states[index] and (cmsgpack.unpack(states[index])[9] or {}).due
    if not due and body then
      local _, _, _, _, _, _, _, created = struct.unpack(HEAD, body)
      due = created
    end
    if due then oldest[queue] = math.min(due, oldest[queue] or due) end
  end
end

for index = 1, #lanes, 2 do look_through(cjson.decode(lanes[index + 1])[1], LANE .. lanes[index]) end
local keyed = redis.call('HGETALL', P .. 'lines')
for index = 1, #keyed, 2 do look_through(cmsgpack.unpack(keyed[index + 1])[1], P .. 'parked:' .. keyed[index]) end
local ages = {}
for queue, due in pairs(oldest) do
  ages[#ages + 1], ages[#ages + 2] = queue, string.format('%.0f', due)
end
return {at, lanes, redis.call('HGETALL', TALLY), redis.call('SMEMBERS', P .. 'paused'), ages}
