#!lua flags=no-writes
--[[ Reads entries of the stream from one on. An entry without events is a fence.

Uses base.
Request  {entry to begin with, events wanted at least}
Returns  now, the newest entry, the newest one that holds events and how many it holds, then of each entry that holds
         some: id, number of events, body
]]
local last = redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
if not last then return {now, '0-0', '0-0', 0} end
local newest = last[2][2] ~= '0' and last or redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 2)[2]
local answer, from, found = {now, last[1], newest and newest[1] or '0-0', newest and tonumber(newest[2][2]) or 0}, request[1], 0
while found < request[2] do
  local entries = redis.call('XRANGE', EVENTS, from, '+', 'COUNT', 10)
  for _, entry in ipairs(entries) do
    if found < request[2] then
      if entry[2][2] ~= '0' then
        answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = entry[1], tonumber(entry[2][2]), entry[2][6]
        found = found + entry[2][2]
      end
      from = '(' .. entry[1]
    end
  end
  if #entries < 10 then break end
end
return answer
