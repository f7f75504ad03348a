--[[ Keys of limits and fair turns: where a pending job stands, and which of a key's jobs may be claimed.

A line is the jobs of one key of a type in a queue: {queue, type, running, taken from its rate}. Those of its pending
jobs that may be claimed stand on their lanes and in `open`, the others in `parked`.
]]
local SPAN, PLACE = 1000, 16
local lines, touched = {}, {}

-- How a pending job is called on its lane: its place, behind its turn when it has one.
local function name_of(job)
  local turn = job.x.turn
  if not turn then return job.seq end
  local base = tonumber(meta()[1])
  local whole, part = math.floor(turn / SPAN), turn % SPAN
  if part == 0 and tonumber(job.seq) < base + whole then
    return string.format('%.0f', base + whole - 1) .. '.~:' .. job.seq
  end
  return string.format('%.0f.%03d:', base + whole, part) .. job.seq
end

local function place_of(name)
  return #name > PLACE and string.sub(name, -PLACE) or name
end

local function turn_field(job)
  return job.x.fair[3] .. ' ' .. job.priority
end

-- Gives a job of a fair queue its turn when it becomes pending for the first time.
local function give_turn(job)
  if job.x.turn or not job.x.fair then return end
  local field, key = turn_field(job), job.x.fair[1]
  local clock = tonumber(redis.call('HGET', P .. 'turns', field) or false)
  if not clock then
    clock = SPAN * (tonumber(job.seq) - tonumber(meta()[1]) - 1)
    redis.call('HSET', P .. 'turns', field, string.format('%.0f', clock))
  end
  local last = tonumber(redis.call('ZSCORE', P .. 'ends:' .. field, key) or clock)
  job.x.turn = math.max(clock, last)
  local span = math.max(1, math.floor(SPAN / job.x.fair[2] + 0.5))
  redis.call('ZADD', P .. 'ends:' .. field, string.format('%.0f', job.x.turn + span), key)
  change(job)
end

local function line_of(job)
  local digest = job.x.line
  if not digest then return nil end
  if not lines[digest] then
    local stored = redis.call('HGET', P .. 'lines', digest)
    lines[digest] = stored and cmsgpack.unpack(stored) or {job.x.of[1], job.x.of[2], 0, {0, {}}}
  end
  touched[digest] = true
  return lines[digest]
end

put_pending = function(job)
  give_turn(job)
  if line_of(job) then
    redis.call('ZADD', P .. 'parked:' .. job.x.line, -job.priority, name_of(job))
  else
    redis.call('ZADD', LANE .. job.lane, -job.priority, name_of(job))
    wake_for(job.lane, 1)
  end
end

take_pending = function(job)
  local name = name_of(job)
  redis.call('ZREM', LANE .. job.lane, name)
  if line_of(job) then
    redis.call('ZREM', P .. 'open:' .. job.x.line, name)
    redis.call('ZREM', P .. 'parked:' .. job.x.line, name)
  end
end

end_running = function(job)
  local line = line_of(job)
  if line then line[3] = line[3] - 1 end
  woke = woke or in_force
end

-- Notes that a job which was pending and open runs.
local function start_running(job)
  local line = line_of(job)
  if job.x.fair and job.x.turn then
    local field = turn_field(job)
    local clock = tonumber(redis.call('HGET', P .. 'turns', field) or '0')
    redis.call('HSET', P .. 'turns', field, string.format('%.0f', math.max(clock, job.x.turn)))
  end
  if not line then return end
  redis.call('ZREM', P .. 'open:' .. job.x.line, name_of(job))
  line[3] = line[3] + 1
  local limit = limit_of[line[1] .. ' ' .. line[2] .. ' by key']
  if limit and limit[5] then line[4] = take(limit[5], line[4], job.x.cost or 1) end
end

-- Lets those jobs of a line be claimed that its limit allows now.
local function look(digest)
  local line = lines[digest]
  local limit = limit_of[line[1] .. ' ' .. line[2] .. ' by key']
  local open, parked, lane = P .. 'open:' .. digest, P .. 'parked:' .. digest, {}
  local most = -1
  if limit then
    most = limit[4] and math.max(0, limit[4] - line[3]) or redis.call('ZCARD', parked)
    if limit[5] then most = math.min(most, capacity(limit[5])) end
  end
  local first, seqs, costs = {}, {}, {}
  for is_open, entries in pairs({[true] = redis.call('ZRANGE', open, 0, -1, 'WITHSCORES'),
      [false] = most == 0 and {} or redis.call('ZRANGE', parked, 0, most - (most < 0 and 0 or 1), 'WITHSCORES')}) do
    for index = 1, #entries, 2 do
      first[#first + 1] = {entries[index], tonumber(entries[index + 1]), is_open}
      seqs[#seqs + 1] = place_of(entries[index])
    end
  end
  load(seqs)
  table.sort(first, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  for index, each in ipairs(first) do
    local job = ledger[place_of(each[1])]
    lane[index] = job and job.lane
    costs[index] = job and job.x.cost or 1
  end
  local number, again = admitted(limit, line[3], line[4], costs)
  for index, each in ipairs(first) do
    if index <= number and not each[3] then
      redis.call('ZREM', parked, each[1])
      redis.call('ZADD', open, each[2], each[1])
      redis.call('ZADD', LANE .. lane[index], each[2], each[1])
      woke = true
    elseif index > number and each[3] then
      redis.call('ZREM', open, each[1])
      redis.call('ZREM', LANE .. lane[index], each[1])
      redis.call('ZADD', parked, each[2], each[1])
    end
  end
  if again then
    redis.call('ZADD', P .. 'again', string.format('%.0f', again), digest)
  else
    redis.call('ZREM', P .. 'again', digest)
  end
  if again or line[3] > 0 or redis.call('ZCARD', open) + redis.call('ZCARD', parked) > 0 then
    redis.call('HSET', P .. 'lines', digest, cmsgpack.pack(line))
  else
    redis.call('HDEL', P .. 'lines', digest)
    lines[digest] = nil
  end
end

local function touch_lines(digests)
  for index, stored in ipairs(fetch('HMGET', P .. 'lines', digests)) do
    local digest = digests[index]
    if stored then
      lines[digest] = lines[digest] or cmsgpack.unpack(stored)
      touched[digest] = true
    else
      redis.call('ZREM', P .. 'again', digest)
    end
  end
end

look_at_lines = function()
  for digest in pairs(touched) do
    if lines[digest] then look(digest) end
  end
  touched = {}
end

-- Looks at the lines of which the time has come.
local function look_at_due_lines()
  local due = redis.call('ZRANGEBYSCORE', P .. 'again', '-inf', at)
  if #due == 0 then return end
  touch_lines(due)
  look_at_lines()
end
