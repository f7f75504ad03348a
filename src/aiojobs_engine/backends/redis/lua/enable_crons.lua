#!lua flags=allow-oom
--[[ Lets entries fire, or not; one that is enabled again is settled up to now.

Uses base.
Request  {true to enable, names}
Returns  of each 1 when it is known
]]
local answers = {}
for index, name in ipairs(request[2]) do
  local stored = redis.call('HGET', P .. 'crons', name)
  answers[index] = stored and 1 or 0
  local entry = stored and cmsgpack.unpack(stored)
  if entry and entry.enabled ~= request[1] then
    entry.enabled = request[1]
    if entry.enabled then entry.settled = math.max(entry.settled, now) end
    redis.call('HSET', P .. 'crons', name, cmsgpack.pack(entry))
    redis.call('HINCRBY', META, 'crons', 1)
  end
end
return answers
