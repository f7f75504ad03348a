--[[ Limits and rates: what may start now. The same as `core/gates.py` and `core/rates.py`, which explain it.

A limit in force is {queue, type, by_key, concurrency, rate, closed, bound}, a rate {amount, period, burst, sliding},
what was taken from it {full again at, starts as {at, cost}}, a bound {the most pending jobs, what becomes of more}; false
where there is none.
]]
local SLOTS, ROUND = 128, 0.000001
local in_force, limit_of, bounds

-- `in_force` are those that claims meet, `bounds` those of queues by name; nil where there are none.
local function read_limits()
  local stored = meta()[3]
  in_force, limit_of, bounds = nil, {}, nil
  for _, limit in ipairs(stored and cmsgpack.unpack(stored) or {}) do
    if limit[4] or limit[5] or limit[6] then
      in_force = in_force or {}
      in_force[#in_force + 1] = limit
      limit_of[limit[1] .. ' ' .. limit[2] .. (limit[3] and ' by key' or '')] = limit
    end
    if limit[7] then
      bounds = bounds or {}
      bounds[limit[1]] = limit[7]
    end
  end
end

read_limits()

local function capacity(rate)
  return (rate[4] or not rate[3]) and rate[1] or rate[3]
end

local function full_at(rate, taken)
  return taken[1] <= now + 2 * capacity(rate) * rate[2] / rate[1] and taken[1] or now
end

local function is_inside(rate, start)
  return now - rate[2] < start and start <= now + rate[2]
end

local function room(rate, taken)
  if not rate[4] then
    local missing = math.max(0, full_at(rate, taken) - now) * rate[1] / rate[2]
    local left = capacity(rate) - missing + ROUND
    return left >= 0 and math.floor(left) or math.ceil(left)
  end
  local left = rate[1]
  for _, start in ipairs(taken[2]) do
    if is_inside(rate, start[1]) then left = left - start[2] end
  end
  return left
end

local function take(rate, taken, cost)
  cost = math.min(cost, capacity(rate))
  if not rate[4] then return {math.max(now, full_at(rate, taken)) + cost * rate[2] / rate[1], {}} end
  local slot, kept = math.max(1, math.floor(rate[2] / SLOTS)), {}
  local start = math.ceil(now / slot) * slot
  for _, each in ipairs(taken[2]) do
    if is_inside(rate, each[1]) then kept[#kept + 1] = {each[1], each[2]} end
  end
  if #kept > 0 and kept[#kept][1] >= start then
    kept[#kept][2] = kept[#kept][2] + cost
  else
    kept[#kept + 1] = {start, cost}
  end
  return {0, kept}
end

local function opens_at(rate, taken, cost)
  local needed = math.min(cost, capacity(rate))
  if room(rate, taken) >= needed then return now end
  if rate[4] then
    local free, inside = rate[1], {}
    for _, start in ipairs(taken[2]) do
      if is_inside(rate, start[1]) then
        inside[#inside + 1] = start
        free = free - start[2]
      end
    end
    for _, start in ipairs(inside) do
      free = free + start[2]
      if free >= needed then return start[1] + rate[2] end
    end
  end
  local wait = full_at(rate, taken) - now - (capacity(rate) - needed) * rate[2] / rate[1]
  return now + math.max(1, math.floor(wait + 0.999999))
end

-- How many of the pending jobs of a key may be claimed, and when to look again, false for never.
local function admitted(limit, running, taken, costs)
  if not limit then return #costs, false end
  if limit[6] and limit[6] > now then return 0, limit[6] end
  local most, rate = #costs, limit[5]
  if limit[4] then most = math.min(most, math.max(0, limit[4] - running)) end
  if not rate then return most, false end
  for number = 1, most do
    local opening = opens_at(rate, taken, costs[number])
    if opening > now then return number - 1, opening end
    taken = take(rate, taken, costs[number])
  end
  if #costs > 0 then return most, false end
  if running == 0 and #taken[2] == 0 and taken[1] <= now then return 0, false end
  return most, (#taken[2] > 0 or taken[1] > now) and opens_at(rate, taken, capacity(rate)) or now
end

-- What one claim may still take; `opening` is when a group that is shut opens by itself.
local gate = {shut = {}, slots = {}, taken = {}, changed = {}, opening = false}

local function note_opening(when)
  gate.opening = math.min(when, gate.opening or when)
end

local function group_of(limit)
  return limit[1] .. ' ' .. limit[2]
end

local function open_gate()
  local running = {}
  local lanes, counts = redis.call('HGETALL', P .. 'lanes'), redis.call('HGETALL', TALLY)
  local kinds = {}
  for index = 1, #lanes, 2 do kinds[lanes[index]] = cjson.decode(lanes[index + 1]) end
  for index = 1, #counts, 2 do
    local kind = string.sub(counts[index], 9) == tostring(PROCESSING) and kinds[string.sub(counts[index], 1, 8)]
    if kind then
      for _, group in ipairs({kind[1] .. ' ', kind[1] .. ' ' .. kind[2]}) do
        running[group] = (running[group] or 0) + counts[index + 1]
      end
    end
  end
  local taken = redis.call('HGETALL', P .. 'rates')
  for index = 1, #taken, 2 do gate.taken[taken[index]] = cmsgpack.unpack(taken[index + 1]) end
  for _, limit in ipairs(in_force) do
    if not limit[3] then
      local group = group_of(limit)
      if limit[4] then gate.slots[group] = limit[4] - (running[group] or 0) end
      if limit[6] and limit[6] > now then
        gate.shut[group] = true
        note_opening(limit[6])
      elseif (gate.slots[group] or 1) <= 0 then
        gate.shut[group] = true
      end
    end
  end
end

-- Counts a job that is about to start; false shuts the groups that have no room for it.
local function pass_gate(queue, kind, cost)
  local groups, has_room = {}, true
  for _, group in ipairs({queue .. ' ', queue .. ' ' .. kind}) do
    if limit_of[group] then groups[#groups + 1] = group end
  end
  for _, group in ipairs(groups) do
    if gate.shut[group] then return false end
  end
  for _, group in ipairs(groups) do
    local rate, taken = limit_of[group][5], gate.taken[group] or {0, {}}
    if rate and room(rate, taken) < math.min(cost, capacity(rate)) then
      note_opening(opens_at(rate, taken, cost))
      gate.shut[group] = true
      has_room = false
    end
  end
  if not has_room then return false end
  for _, group in ipairs(groups) do
    local rate = limit_of[group][5]
    if rate then
      gate.taken[group] = take(rate, gate.taken[group] or {0, {}}, cost)
      gate.changed[group] = true
    end
    if gate.slots[group] then
      gate.slots[group] = gate.slots[group] - 1
      if gate.slots[group] <= 0 then gate.shut[group] = true end
    end
  end
  return true
end
