#!lua flags=allow-oom
--[[ Lets leases end later, or sooner; those that are lost stay lost.

Uses base.
Request  {lease in ms, places, tokens}
Returns  of each: 0 lost, 1 held, +2 a cancel was asked for, +4 a pause was
]]
local until_ = string.format('%.0f', elapsed + request[1])
local answers, renewed, known = {}, {}, {}
for index, state in ipairs(fetch('HMGET', STATE, request[2])) do
  local job = state and (known[state] or cmsgpack.unpack(state))
  answers[index] = 0
  if job then
    known[state] = job
    if job[1] == PROCESSING and job[2] == request[3][index] then
      local x = job[9] or {}
      answers[index] = 1 + (x.cancelling and 2 or 0) + (x.pausing and 4 or 0)
      renewed[#renewed + 1], renewed[#renewed + 2] = until_, request[2][index]
    end
  end
end
send('ZADD', LEASES, renewed)
return answers
