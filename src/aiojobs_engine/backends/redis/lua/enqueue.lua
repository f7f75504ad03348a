#!lua
--[[ Stores new jobs with their `JobCreated`; those whose id is stored already are left as they are.

Uses base, ledger, kin.
Request  jobs, each {id, number of its body, due in ms or false, lane as JSON}; no id twice
Returns  the events' entry, then for each job 1 when it was stored, else the body of the one that has its id
]]
local ids, fresh, answers, held = {}, {}, {}, {}
for index, job in ipairs(request) do ids[index] = job[1] end
for index, seq in ipairs(fetch('ZMSCORE', JOBS, ids)) do
  answers[index] = 1
  if seq then
    held[#held + 1] = seq
    answers[index] = seq
  else
    fresh[#fresh + 1] = request[index]
  end
end
local bodies, next_body = fetch('HMGET', BODY, held), 1
for index, answer in ipairs(answers) do
  if answer ~= 1 then
    answers[index] = bodies[next_body]
    next_body = next_body + 1
  end
end
add(fresh)
save()
return {finish(), answers}
