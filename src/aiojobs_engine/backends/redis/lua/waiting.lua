#!lua flags=allow-oom
--[[ Whether a claim would find something, and when a limit lets more through by itself.

Uses base, ledger, limits, flow.
Request  {number of known lanes, lanes as {lane, queue, type}, idle worker or false, its next claim and
         terms as in `handover`}
Returns  -1 and all lanes and their JSON when others are known by now; else 1 when it would, else 0, and ms until a
         limit opens, -1 for never
]]
if redis.call('HLEN', P .. 'lanes') ~= request[1] then return {-1, redis.call('HGETALL', P .. 'lanes')} end
local again = redis.call('ZRANGE', P .. 'again', 0, 0, 'WITHSCORES')[2]
if again and tonumber(again) <= now then return {1, -1} end
if again then note_opening(tonumber(again)) end
if in_force then open_gate() end
local paused = {}
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[queue] = true end
for _, lane in ipairs(request[2]) do
  local first = not paused[lane[2]] and redis.call('ZRANGE', LANE .. lane[1], 0, 0)[1]
  if first then
    if not in_force then return {1, -1} end
    local place = place_of(first)
    local state, ends = redis.call('HGET', STATE, place), redis.call('ZSCORE', EXPIRING, place)
    if ends and tonumber(ends) <= now then return {1, -1} end
    if pass_gate(lane[2], lane[3], state and (cmsgpack.unpack(state)[9] or {}).cost or 1) then return {1, -1} end
  end
end
if request[3] then
  local names = {}
  for index, lane in ipairs(request[2]) do names[index] = lane[1] end
  redis.call('HSET', P .. 'waiting', request[3], request[4] .. ' ,' .. table.concat(names, ',') .. ',')
end
return {0, gate.opening and gate.opening - now or -1}
