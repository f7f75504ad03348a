#!lua flags=allow-oom
--[[ Lets no more events be stored in this home at a millisecond or before it, for a reader of several homes passes it.

Uses base.
Request  the millisecond
Returns  nothing
A fence that is the newest entry takes the place of the last one, so they don't pile up where nothing happens.
]]
local last = redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
if last and tonumber(string.match(last[1], '^%d+')) > request then return false end
redis.call('XADD', EVENTS, string.format('%.0f-0', request + 1), 'n', 0, 'c', redis.call('HGET', META, 'events') or 0,
  'b', '[]')
if last and last[2][2] == '0' then redis.call('XDEL', EVENTS, last[1]) end
return false
