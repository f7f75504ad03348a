--[[ Stores jobs: the queue, and their bodies by id.

KEYS  1 queue  list of ids   2 bodies  hash
ARGV  ids and bodies in turn
]]
local ids = {}
for index = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
redis.call('RPUSH', KEYS[1], unpack(ids))
redis.call('HSET', KEYS[2], unpack(ARGV))
return #ids
