#!lua flags=allow-oom
--[[ Expires queued jobs past their time, then makes due ones pending.

Uses base, ledger, limits, flow, kin.
Request  how many of each at most
Returns  the events' entry, how many jobs changed, when the next one is due, false when none is
]]
local changed = expire(request)
local seqs = redis.call('ZRANGEBYSCORE', DUE, '-inf', at, 'LIMIT', 0, request)
load(seqs)
for _, seq in ipairs(seqs) do
  local job = ledger[seq]
  if job then
    move(job, PENDING)
    changed = changed + 1
  else
    redis.call('ZREM', DUE, seq)
  end
end
save()
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {finish(), changed, first[2] or false}
