#!lua flags=allow-oom
--[[ Removes jobs that nobody runs, with failures and chunks.

Uses base, ledger, limits, flow, kin.
Request  ids
Returns  the events' entry, then of each 1 when it was removed; those that waited for it are cancelled
]]
local answers, jobs = {}, by_ids(request)
for index = 1, #request do
  local job = jobs[index]
  answers[index] = 0
  if job and not job.removed and not job.x.parent and not is_running(job) then
    abandon(job)
    follow()
    remove(job)
    answers[index] = 1
  end
end
save()
return {finish(), answers}
