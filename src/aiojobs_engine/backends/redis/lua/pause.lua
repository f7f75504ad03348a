#!lua flags=allow-oom
--[[ Parks queued jobs, flags running ones.

Uses base, ledger, limits, flow, kin.
Request  ids
Returns  the events' entry, then of each 1 when it was allowed
]]
local answers, jobs = {}, by_ids(request)
for index = 1, #request do answers[index] = jobs[index] and pause(jobs[index]) and 1 or 0 end
save()
return {finish(), answers}
