#!lua flags=no-writes
--[[ Reads what stands between jobs and their next step.

Uses base.
Request  ids
Returns  now, then of each: 1 when it is stored else 0, the rank in its lane of a pending one or -1, the ms that the
         lease of a running one lasts or ''
]]
local answer = {at}
for index, seq in ipairs(fetch('ZMSCORE', JOBS, request)) do
  local stored, rank, left = 0, -1, ''
  if seq then
    stored = 1
    local body = redis.call('HGET', BODY, seq)
    rank = body and redis.call('ZRANK', LANE .. string.sub(body, 1, 8), seq) or -1
    local ends = redis.call('ZSCORE', LEASES, seq)
    if ends then left = string.format('%.0f', ends - elapsed) end
  end
  answer[3 * index - 1], answer[3 * index], answer[3 * index + 1] = stored, rank, left
end
return answer
