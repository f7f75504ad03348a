--[[ Leases the next jobs under a token each, and stores an event of it.

KEYS  1 queue   2 bodies   3 records  hash   4 leases  zset   5 events  stream
ARGV  1 how many
Returns ids, bodies and token in turn
]]
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {} end
local bodies = redis.call('HMGET', KEYS[2], unpack(ids))
local now = redis.call('TIME')
local till = now[1] * 1000 + 10000
local records, leases = {}, {}
for index, id in ipairs(ids) do
  records[2 * index - 1], records[2 * index] = id, '1 running ' .. now[1]
  leases[2 * index - 1], leases[2 * index] = till, id
end
redis.call('HSET', KEYS[3], unpack(records))
redis.call('ZADD', KEYS[4], unpack(leases))
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 1000, '*', 'started', table.concat(ids, ' '))
return {ids, bodies}
