#!lua flags=no-writes
--[[ Reads a slice of all jobs, the last accepted first, and leaves out those of other statuses.

Uses base.
Request  {before: a place or '+inf', how many to look at, wanted statuses as a set of text keys or false,
         parent's id or false}
Returns  now, the last place looked at or false at the end, then of each job: place, body, state or false
]]
local before, many, wanted = request[1], request[2], request[3]
local key, newest = JOBS, before == '+inf' and before or '(' .. before
local places = {}
if request[4] then
  local parent = redis.call('ZSCORE', JOBS, request[4])
  if not parent then return {at, false} end
  newest = before == '+inf' and '+' or '(' .. before
  places = redis.call('ZREVRANGEBYLEX', P .. 'chunks:' .. parent, newest, '-', 'LIMIT', 0, many)
else
  local found = redis.call('ZREVRANGEBYSCORE', JOBS, newest, '-inf', 'WITHSCORES', 'LIMIT', 0, many)
  for index = 2, #found, 2 do places[index / 2] = found[index] end
end
local states, fitting, of = fetch('HMGET', STATE, places), {}, {}
for index, place in ipairs(places) do
  local code = states[index] and cmsgpack.unpack(states[index])[1] or PENDING
  if not wanted or wanted[tostring(code)] then
    fitting[#fitting + 1] = place
    of[#of + 1] = states[index]
  end
end
local answer = {at, #places == many and places[#places] or false}
for index, body in ipairs(fetch('HMGET', BODY, fitting)) do
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = fitting[index], body, of[index]
end
return answer
