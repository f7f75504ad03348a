--[[ Bounded queues: how many pending jobs one still takes, and which of them have to go. As `ports/flow.py` says.
]]
local PORTION = 100
local lanes_of, free = nil, {}

-- How many more pending jobs a queue takes; below 0 are those that are too many.
local function room_in(queue)
  if not lanes_of then
    lanes_of = {}
    local lanes = redis.call('HGETALL', P .. 'lanes')
    for index = 1, #lanes, 2 do
      local name = cjson.decode(lanes[index + 1])[1]
      lanes_of[name] = lanes_of[name] or {}
      table.insert(lanes_of[name], lanes[index])
    end
  end
  local fields, left = {}, bounds[queue][1]
  for index, lane in ipairs(lanes_of[queue] or {}) do fields[index] = lane .. PENDING end
  for index, number in ipairs(fetch('HMGET', TALLY, fields)) do
    left = left - (tonumber(number or 0) + (tallied[fields[index]] or 0))
  end
  return left
end

-- Whether a new job finds no room in its queue and is not to be stored.
local function refuses(queue, due)
  local bound = bounds[queue]
  if not bound or bound[2] ~= 'refuse' and bound[2] ~= 'wait' or due and due > now then return false end
  free[queue] = (free[queue] or room_in(queue)) - 1
  return free[queue] < 0
end

local function may_go(job)
  return job and job.code == PENDING and not job.x.parent
end

-- Adds the first jobs of a sorted set of names that may go, those of the lowest priority first; where jobs have fair
-- turns, names don't stand in the order of acceptance, so that all of a priority are looked at.
local function add_oldest(key, queue, wanted, found)
  local most, taken = '+inf', 0
  while taken < wanted do
    local last = redis.call('ZREVRANGEBYSCORE', key, most, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #last == 0 then return end
    local score, from = last[2], 0
    local in_turns = redis.call('HGET', P .. 'turns', queue .. ' ' .. string.format('%.0f', -score))
    while in_turns or taken < wanted do
      local names, seqs = redis.call('ZRANGEBYSCORE', key, score, score, 'LIMIT', from, PORTION), {}
      if #names == 0 then break end
      for index, name in ipairs(names) do seqs[index] = place_of(name) end
      load(seqs)
      for _, seq in ipairs(seqs) do
        if may_go(ledger[seq]) then
          found[#found + 1] = ledger[seq]
          taken = taken + 1
        end
      end
      from = from + PORTION
    end
    most = '(' .. score
  end
end

local function oldest(queue, wanted)
  local found, chosen, seen = {}, {}, {}
  for _, lane in ipairs(lanes_of[queue] or {}) do add_oldest(LANE .. lane, queue, wanted, found) end
  local all = redis.call('HGETALL', P .. 'lines')
  for index = 1, #all, 2 do
    if cmsgpack.unpack(all[index + 1])[1] == queue then add_oldest(P .. 'parked:' .. all[index], queue, wanted, found) end
  end
  for digest, line in pairs(lines) do
    if line[1] == queue then add_oldest(P .. 'parked:' .. digest, queue, wanted, found) end
  end
  table.sort(found, function(a, b)
    return a.priority < b.priority or (a.priority == b.priority and a.seq < b.seq)
  end)
  for _, job in ipairs(found) do
    if #chosen < wanted and not seen[job.seq] then
      seen[job.seq] = true
      chosen[#chosen + 1] = job
    end
  end
  return chosen
end

-- Discards what is too many in a queue after the jobs of these ids were stored in it.
local function shed(queue, ids)
  local bound, chosen = bounds[queue], {}
  if bound[2] == 'refuse' or bound[2] == 'wait' then return end
  lanes_of = nil
  local excess = -room_in(queue)
  if excess <= 0 then return end
  if bound[2] == 'drop_oldest' then
    chosen = oldest(queue, excess)
  else
    for _, job in ipairs(by_ids(ids)) do
      if may_go(job) then chosen[#chosen + 1] = job end
    end
    for _ = 1, #chosen - excess do table.remove(chosen, 1) end
  end
  for _, job in ipairs(chosen) do
    job.x.error = '{"type":"shed","message":' .. cjson.encode("queue '" .. queue .. "' was full") .. ',"reason":"shed"}'
    move(job, DISCARDED)
    tell('JobDiscarded', job, ',"shed"')
    after_end(job)
  end
end
