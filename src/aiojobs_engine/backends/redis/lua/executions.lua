#!lua flags=no-writes
--[[ Reads runs of one job, of one type, of one cron entry, or of all, the last ended first.

Uses base.
Request  {where they stand: `a`, or `j`, `t` or `c` and a name; at most so many; job, type and cron that they must have, '' any}
Returns  records
]]
local start, limit, PORTION = request[1] .. '\0', request[2], 500
local answer, from = {}, 0
while #answer < limit do
  local places = redis.call('ZRANGE', P .. 'executed', '(' .. request[1] .. '\1', '[' .. start, 'BYLEX', 'REV', 'LIMIT', from, PORTION)
  local keys = {}
  for index, place in ipairs(places) do keys[index] = string.sub(place, #start + 1) end
  for _, body in ipairs(fetch('HMGET', P .. 'executions', keys)) do
    local run = body and cmsgpack.unpack(body)
    local fits = run and (request[3] == '' or request[3] == run[1]) and (request[4] == '' or request[4] == run[2])
    if fits and (request[5] == '' or request[5] == run[3]) and #answer < limit then answer[#answer + 1] = run[4] end
  end
  if #places < PORTION then break end
  from = from + PORTION
end
return answer
