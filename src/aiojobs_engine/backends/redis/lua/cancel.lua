#!lua flags=allow-oom
--[[ Cancels queued jobs at once, flags running ones; chunks are cancelled with their parent alone.

Uses base, ledger, limits, flow, kin.
Request  ids
Returns  the events' entry, then of each the status before or -1 of an unknown id, and 1 when it takes effect
]]
local answers, jobs = {}, by_ids(request)
for index = 1, #request do
  local job = jobs[index]
  local before = job and job.code or -1
  local is_done = job and (before == CANCELLED or (not is_chunk(job) and cancel(job)))
  answers[2 * index - 1], answers[2 * index] = before, is_done and 1 or 0
end
save()
return {finish(), answers}
