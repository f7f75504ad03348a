#!lua flags=allow-oom
--[[ Makes job types known.

Uses base.
Request  name and record as JSON in turn
Returns  nothing
]]
send('HSET', P .. 'types', request)
return false
