#!lua flags=allow-oom
--[[ Makes paused jobs pending again, and takes back pauses that runs have not heeded.

Uses base, ledger, limits, flow.
Request  ids
Returns  the events' entry, then of each 1 when it was allowed
]]
local answers, jobs = {}, by_ids(request)
for index = 1, #request do
  local job = jobs[index]
  answers[index] = 0
  if job and job.code == PAUSED then
    move(job, PENDING)
    tell('JobInterrupted', job)
    answers[index] = 1
  elseif job and job.code == PROCESSING and job.x.pausing then
    job.x.pausing = nil
    change(job)
    answers[index] = 1
  end
end
save()
return {finish(), answers}
