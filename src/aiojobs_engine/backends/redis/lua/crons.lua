#!lua flags=no-writes
--[[ Reads all entries, each with the newest of its history.

Uses base.
Returns  of each: name, entry, fire or false
]]
local answer, stored = {}, redis.call('HGETALL', P .. 'crons')
for index = 1, #stored, 2 do
  answer[#answer + 1], answer[#answer + 2] = stored[index], stored[index + 1]
  answer[#answer + 1] = redis.call('LINDEX', P .. 'fires:' .. stored[index], 0)
end
return answer
