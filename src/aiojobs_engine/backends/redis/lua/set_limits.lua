#!lua
--[[ Stores limits, each in place of the one of the same group and origin; an empty one removes it.

Uses base, ledger, limits, flow, kin.
Request  limits, each {its name, JSON or false to remove it}; the name is queue, type, 1 by key else 0, origin, with
         spaces between
Returns  the events' entry
]]
local key, names, found, compiled = P .. 'limits', {}, {}, {}
for _, each in ipairs(request) do
  if each[2] then redis.call('HSET', key, each[1], each[2]) else redis.call('HDEL', key, each[1]) end
end

local stored = redis.call('HGETALL', key)
for index = 1, #stored, 2 do
  local group, origin = string.match(stored[index], '^(.*) (%a+)$')
  if not found[group] then
    found[group] = {}
    names[#names + 1] = group
  end
  found[group][origin] = cjson.decode(stored[index + 1])
end

local function encoded_rate(rate)
  return rate and {rate.amount, rate.period, rate.burst or false, rate.is_sliding or false} or false
end

local function among(choose, one, other)
  if one and other then return choose(one, other) end
  return one or other or false
end

for _, group in ipairs(names) do
  local queue, kind, by_key = string.match(group, '^(.-) (.-) (%d)$')
  local said, breaker = found[group].desk or found[group].code or {}, found[group].breaker or {}
  compiled[#compiled + 1] = {queue, kind, by_key == '1', among(math.min, said.concurrency, breaker.concurrency),
    encoded_rate(said.rate), among(math.max, said.closed_until, breaker.closed_until),
    said.max_pending and {said.max_pending, said.overflow or 'refuse'} or false}
end
if #compiled > 0 then
  meta()[3] = cmsgpack.pack(compiled)
  redis.call('HSET', META, 'limits', meta()[3])
else
  meta()[3] = false
  redis.call('HDEL', META, 'limits')
end
read_limits()

local all, digests = redis.call('HGETALL', P .. 'lines'), {}
for index = 1, #all, 2 do digests[#digests + 1] = all[index] end
touch_lines(digests)
woke = true
save()
return {finish(), 1}
