#!lua flags=allow-oom
--[[ Starts final jobs anew, in a new epoch; bulk jobs lose the chunks and failures of the last one.

Uses base, ledger, kin.
Request  ids
Returns  the events' entry, then of each 1 when it was allowed
]]
local answers, jobs = {}, by_ids(request)

local function is_legal(job)
  return not job.x.parent and not job.removed and (job.code == FAILED or job.code == CANCELLED
    or job.code == DISCARDED or job.code == EXPIRED)
end

for index = 1, #request do
  local job = jobs[index]
  answers[index] = 0
  if job and is_legal(job) then
    for _, chunk in ipairs(chunks_of(job)) do remove(chunk) end
    redis.call('DEL', P .. 'chunks:' .. job.seq, P .. 'rows:' .. job.seq, P .. 'faults:' .. job.seq)
    redis.call('ZREM', KEPT, job.seq)
    local epoch = (job.x.epoch or 0) + 1
    unshelve(job)
    job.x = {epoch = epoch, due = now, free = true, unique = job.x.unique}
    job.result, job.started, job.finished, job.attempts, job.crashes = false, false, false, 0, 0
    job.code = PENDING
    shelve(job)
    change(job)
    tell('JobRetrying', job, ',"",' .. at)
    answers[index] = 1
  end
end
save()
return {finish(), answers}
