#!lua flags=allow-oom
--[[ Takes or keeps a named place in the stream, and moves it; while somebody else's lease lasts nothing changes.

Uses base.
Request  {name, holder, lease in ms, cursor or nil}
Returns  {1 when the holder has it, the cursor or false}
]]
local key, name = P .. 'places', request[1]
local stored = redis.call('HGET', key, name)
local held = stored and cmsgpack.unpack(stored)
if held and held[1] ~= request[2] and held[2] > elapsed then return {0, held[3]} end
local cursor = request[4] or held and held[3]
redis.call('HSET', key, name, cmsgpack.pack({request[2], elapsed + request[3], cursor}))
return {1, cursor}
