#!lua flags=allow-oom
--[[ Notes that jobs which were claimed ahead run now.

Uses base.
Request  {places, tokens}
Returns  nothing
]]
local fields, known = {}, {}
for index, state in ipairs(fetch('HMGET', STATE, request[1])) do
  local job = state and (known[state] or cmsgpack.unpack(state))
  if job then
    known[state] = job
    if job[1] == PROCESSING and job[2] == request[2][index] and job[11] then
      if not job.begun then
        local ahead = job[11]
        job[11] = nil
        job.begun = cmsgpack.pack({unpack(job, 1, 10)})
        job[11] = ahead
      end
      fields[#fields + 1], fields[#fields + 2] = request[1][index], job.begun
    end
  end
end
send('HSET', STATE, fields)
return false
