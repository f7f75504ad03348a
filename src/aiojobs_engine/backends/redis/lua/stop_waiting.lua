#!lua flags=allow-oom
--[[ Forgets that a worker waits, for it won't claim.

Uses base, ledger, limits, flow, kin.
Request  {its id, the id of its next claim}
Returns  the events' entry
What it was handed meanwhile goes back; if it was only woken, all others are.
]]
local worker, claim = request[1], request[2] .. ' '
if redis.call('HDEL', P .. 'waiting', worker) == 0 then
  local said = redis.call('HGET', P .. 'claims', worker)
  local is_handed = said and string.sub(said, 1, #claim) == claim
  local job = is_handed and get(string.sub(said, #claim + 1))
  if job and job.code == PROCESSING and job.worker == worker then
    move(job, PENDING)
    tell('JobInterrupted', job)
  else
    woke = true
  end
end
save()
return {finish()}
