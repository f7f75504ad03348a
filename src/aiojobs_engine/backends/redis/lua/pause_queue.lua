#!lua flags=allow-oom
--[[ Lets no more jobs of a queue be claimed.

Uses base.
Request  its name
Returns  nothing
]]
redis.call('SADD', P .. 'paused', request)
return false
