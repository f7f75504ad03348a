--[[ Ends jobs whose token still holds: record with result, lease, shelf of the finished, event.

KEYS  1 records   2 leases   3 finished  zset   4 events
ARGV  ids and results in turn
Returns how many held
]]
local ids = {}
for index = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local before = redis.call('HMGET', KEYS[1], unpack(ids))
local now = redis.call('TIME')[1]
local records, ended, held = {}, {}, {}
for index, id in ipairs(ids) do
  if before[index] and string.sub(before[index], 1, 9) == '1 running' then
    held[#held + 1] = id
    records[#records + 1], records[#records + 2] = id, '1 completed ' .. now .. ' ' .. ARGV[2 * index]
    ended[#ended + 1], ended[#ended + 2] = now, id
  end
end
if #held > 0 then
  redis.call('HSET', KEYS[1], unpack(records))
  redis.call('ZREM', KEYS[2], unpack(held))
  redis.call('ZADD', KEYS[3], unpack(ended))
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 1000, '*', 'completed', table.concat(held, ' '))
end
return #held
