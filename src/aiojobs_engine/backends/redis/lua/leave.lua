#!lua flags=allow-oom
--[[ Forgets a worker that stopped.

Uses base.
Request  its id
Returns  nothing
]]
redis.call('HDEL', P .. 'workers', request)
redis.call('HDEL', P .. 'claims', request)
redis.call('HDEL', P .. 'waiting', request)
return false
