#!lua flags=allow-oom
--[[ Takes over leases that ran out, under new tokens, each with a `LeaseLost`.

Uses base, ledger, limits, flow, kin.
Request  {worker, limit, lease in ms}
Returns  the events' entry, then of each job: place, state, body, the worker that lost it, 1 when it had started
]]
local seqs = redis.call('ZRANGEBYSCORE', LEASES, '-inf', string.format('%.0f', elapsed), 'LIMIT', 0, request[2])
local until_ = string.format('%.0f', elapsed + request[3])
local answer = {false}
local bodies = fetch('HMGET', BODY, seqs)
load(seqs)
for index, seq in ipairs(seqs) do
  local job = ledger[seq]
  if job and job.code == PROCESSING then
    local lost = job.worker or ''
    tell('LeaseLost', job, ',' .. cjson.encode(lost))
    job.token = job.token + 1
    job.worker = request[1]
    redis.call('ZADD', LEASES, until_, seq)
    change(job)
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = seq, packed(job), bodies[index]
    answer[#answer + 1], answer[#answer + 2] = lost, job.ahead and 0 or 1
  else
    redis.call('ZREM', LEASES, seq)
  end
end
save()
answer[1] = finish()
return answer
