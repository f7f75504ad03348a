#!lua flags=allow-oom
--[[ Announces a worker, and forgets those that have been silent for a minute.

Uses base.
Request  {id, its record as JSON}
Returns  nothing
]]
local SILENCE = 60000
local key, gone = P .. 'workers', {}
redis.call('HSET', key, request[1], request[2])
local known = redis.call('HGETALL', key)
for index = 1, #known, 2 do
  if now - cjson.decode(known[index + 1]).beat_at > SILENCE then gone[#gone + 1] = known[index] end
end
send('HDEL', key, gone)
send('HDEL', P .. 'claims', gone)
send('HDEL', P .. 'waiting', gone)
return false
