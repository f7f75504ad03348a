#!lua flags=allow-oom
--[[ Forgets that a worker waits; when it was woken meanwhile, all others are, for it won't claim.

Uses base.
Request  its id
Returns  nothing
]]
woke = redis.call('HDEL', P .. 'waiting', request) == 0
finish()
return false
