#!lua flags=allow-oom
--[[ Forgets entries and their history.

Uses base.
Request  names
Returns  of each 1 when it was known
]]
local answers = {}
for index, name in ipairs(request) do
  answers[index] = redis.call('HDEL', P .. 'crons', name)
  redis.call('DEL', P .. 'fires:' .. name)
  if answers[index] == 1 then redis.call('HINCRBY', META, 'crons', 1) end
end
return answers
