#!lua flags=no-writes
--[[ Whether a claim would find something.

Uses base.
Request  {number of known lanes, lanes as {lane, queue}}
Returns  1 when it would or when other lanes are known by now, else 0
]]
if redis.call('HLEN', P .. 'lanes') ~= request[1] then return 1 end
local paused = {}
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[queue] = true end
for _, lane in ipairs(request[2]) do
  if not paused[lane[2]] and redis.call('ZCARD', LANE .. lane[1]) > 0 then return 1 end
end
return 0
