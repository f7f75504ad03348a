#!lua flags=no-writes
--[[ Reads entries of the stream from one on.

Uses base.
Request  {entry to begin with, events wanted at least}
Returns  the newest entry and how many events it holds, then of each entry: id, number of events, body
]]
local newest = redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
if not newest then return {'0-0', 0} end
local answer, from, found = {newest[1], tonumber(newest[2][2])}, request[1], 0
while found < request[2] do
  local entries = redis.call('XRANGE', EVENTS, from, '+', 'COUNT', 10)
  for _, entry in ipairs(entries) do
    if found < request[2] then
      answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = entry[1], tonumber(entry[2][2]), entry[2][6]
      found = found + entry[2][2]
      from = '(' .. entry[1]
    end
  end
  if #entries < 10 then break end
end
return answer
