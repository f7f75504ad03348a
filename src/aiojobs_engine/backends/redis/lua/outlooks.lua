#!lua flags=no-writes
--[[ Reads what stands between jobs and their next step.

Uses base, ledger, limits, flow.
Request  ids
Returns  now, then of each: 1 when it is stored else 0, how many pending jobs of its queue and type come before a
         pending one or -1, the ms that the lease of a running one lasts or ''
]]
local keyed = redis.call('HGETALL', P .. 'lines')

-- How many of a set come before a job.
local function before(key, score, name)
  local low, high = redis.call('ZCOUNT', key, '-inf', '(' .. score), redis.call('ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', key, middle, middle)[1] < name then low = middle + 1 else high = middle end
  end
  return low
end

local function ahead_of(job)
  local kind, score, name = cjson.decode('[' .. job.ident .. ']'), -job.priority, name_of(job)
  local found = before(LANE .. job.lane, score, name)
  for index = 1, #keyed, 2 do
    local line = cmsgpack.unpack(keyed[index + 1])
    if line[1] == kind[4] and line[2] == kind[2] then
      found = found + before(P .. 'parked:' .. keyed[index], score, name)
    end
  end
  return found
end

local answer = {at}
for index, job in ipairs(by_ids(request)) do
  local rank, left = -1, ''
  if job and job.code == PENDING then rank = ahead_of(job) end
  local ends = job and redis.call('ZSCORE', LEASES, job.seq)
  if ends then left = string.format('%.0f', ends - elapsed) end
  answer[3 * index - 1], answer[3 * index], answer[3 * index + 1] = job and 1 or 0, rank, left
end
return answer
