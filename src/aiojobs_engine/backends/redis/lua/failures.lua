#!lua flags=no-writes
--[[ Reads failed rows of a job, in row order.

Uses base.
Request  {id, row to begin after, limit, true for unresolved ones only}
Returns  the stored rows
]]
local seq, answer = redis.call('ZSCORE', JOBS, request[1]), {}
if not seq then return answer end
local after = request[2]
while #answer < request[3] do
  local rows = redis.call('ZRANGEBYSCORE', P .. 'rows:' .. seq, '(' .. string.format('%.0f', after), '+inf',
    'LIMIT', 0, request[3])
  if #rows == 0 then break end
  for _, fault in ipairs(fetch('HMGET', P .. 'faults:' .. seq, rows)) do
    if #answer < request[3] and not (request[4] and cmsgpack.unpack(fault)[3]) then
      answer[#answer + 1] = fault
    end
  end
  after = tonumber(rows[#rows])
end
return answer
