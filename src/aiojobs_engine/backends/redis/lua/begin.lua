#!lua flags=allow-oom
--[[ Notes that jobs which were claimed ahead run now.

Uses base.
Request  `place:token` of each
Returns  nothing
]]
send('SREM', AHEAD, request)
return false
