#!lua flags=allow-oom
--[[ Lets the jobs of a queue be claimed again.

Uses base.
Request  its name
Returns  nothing
]]
redis.call('SREM', P .. 'paused', request)
redis.call('PUBLISH', P .. 'wake', '')
return false
