#!lua flags=no-writes
--[[ Reads lanes, counts, paused queues, and of each lane since when its oldest pending jobs have been due.

Uses base.
Request  how many pending jobs to look at in each lane
Returns  now, lanes and JSON, fields and counts, paused queues, then of each lane that holds something: lane, instant
]]
local lanes = redis.call('HGETALL', P .. 'lanes')
local answer = {at, lanes, redis.call('HGETALL', TALLY), redis.call('SMEMBERS', P .. 'paused')}
for index = 1, #lanes, 2 do
  local places = redis.call('ZRANGE', LANE .. lanes[index], 0, request - 1)
  if #places > 0 then
    local states, bodies, found = fetch('HMGET', STATE, places), fetch('HMGET', BODY, places), {}
    local oldest
    for number, state in ipairs(states) do
      local due = state and (cmsgpack.unpack(state)[9] or {}).due
      if due then
        oldest = math.min(due, oldest or due)
      elseif bodies[number] then
        local _, _, _, _, _, _, _, created = struct.unpack(HEAD, bodies[number])
        oldest = math.min(created, oldest or created)
      end
    end
    answer[#answer + 1], answer[#answer + 2] = lanes[index], string.format('%.0f', oldest)
  end
end
return answer
