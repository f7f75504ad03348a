#!lua
--[[ Stores entries, changes or announces them.

Uses base.
Request  {takes over, ms by which a fire may be late, ms after which one is abandoned, entries};
         each entry is {name, JSON, revision, true when it is in code, overlap}
Returns  of each 1 when it was stored, changed or announced
]]
local takes_over, on_time, unseen = request[1], request[2], request[3]
local answers, key = {}, P .. 'crons'

local function put(given)
  local stored = redis.call('HGET', key, given[1])
  local entry = stored and cmsgpack.unpack(stored)
  local is_changed = true
  if not entry then
    entry = {enabled = true, settled = now}
  elseif entry.is_code ~= given[4] then
    return 0
  elseif entry.revision == given[3] then
    is_changed = false
  elseif not takes_over and entry.seen > now - unseen then
    return 0
  else
    entry.settled = math.max(entry.settled, now - on_time)
  end
  entry.body, entry.revision, entry.is_code, entry.overlap, entry.seen = given[2], given[3], given[4], given[5], now
  redis.call('HSET', key, given[1], cmsgpack.pack(entry))
  if is_changed then redis.call('HINCRBY', META, 'crons', 1) end
  return 1
end

for index, given in ipairs(request[4]) do answers[index] = put(given) end
return answers
