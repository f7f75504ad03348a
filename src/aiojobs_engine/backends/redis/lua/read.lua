#!lua flags=no-writes
--[[ Reads jobs by their ids.

Uses base.
Request  ids
Returns  now, then of each: body and state, each false when there is none
]]
local places, asked = {}, {}
for index, seq in ipairs(fetch('ZMSCORE', JOBS, request)) do
  places[index] = seq
  if seq then asked[#asked + 1] = seq end
end
local bodies, states, number = fetch('HMGET', BODY, asked), fetch('HMGET', STATE, asked), 0
local answer = {at}
for index = 1, #request do
  local has = places[index]
  if has then number = number + 1 end
  answer[2 * index] = has and bodies[number] or false
  answer[2 * index + 1] = has and states[number] or false
end
return answer
