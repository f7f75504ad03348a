#!lua
--[[ Leases pending jobs in claim order, with their `JobStarted`; those past their time expire first.

Uses base, starts, then ledger, limits, flow, kin.
Request  {claim id, worker, limit, ahead, lease in ms, number of known lanes, lanes as {lane, queue, type},
         true when the worker waited}
Returns  {0, all lanes and their JSON} when others are known by now; else
         {1, now, the events' entry, 1 when more may follow, then of each job: place, state or '', body}
The same claim id again answers with what is still held of the first answer, or was handed over under it, and renews
its leases.
]]
if request[8] then redis.call('HDEL', P .. 'waiting', request[2]) end
local id, worker, limit, ahead, lease, lanes = request[1], request[2], request[3], request[4], request[5], request[7]
if redis.call('HLEN', P .. 'lanes') ~= request[6] then return {0, redis.call('HGETALL', P .. 'lanes')} end

local until_, at_once = string.format('%.0f', elapsed + lease), math.max(0, limit - ahead)
local by = ',' .. cjson.encode(worker) .. ']'
local answer, fields, leases, number = {1, at, false, 0}, {}, {}, 0
local begun, waiting = {}, {}

-- The lanes that have pending jobs.
local function find_heads()
  local paused, heads = {}, {}
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[queue] = true end
  for _, lane in ipairs(lanes) do
    local size = paused[lane[2]] and 0 or redis.call('ZCARD', LANE .. lane[1])
    if size > 0 then
      heads[#heads + 1] = {lane = lane[1], queue = lane[2], kind = lane[3], size = size, read = 0, taken = 0}
    end
  end
  return heads
end

local function is_whole(body)
  return body and #body > HEAD_BYTES and envelope_at(body) <= #body
end

local function first_run(lane, is_ahead)
  local states_of = is_ahead and waiting or begun
  local state = states_of[lane]
  if not state then
    state = first_state(worker, lane, is_ahead)
    states_of[lane] = state
  end
  return state
end

local function answer_with(seq, state, body, stored)
  number = number + 1
  fields[2 * number - 1], fields[2 * number] = seq, stored
  leases[2 * number - 1], leases[2 * number] = until_, seq
  answer[3 * number + 2], answer[3 * number + 3], answer[3 * number + 4] = seq, state, body
end

local function is_ahead()
  return number >= at_once
end

local function start_first(seq, body, lane)
  told[#told + 1] = started(body, by)
  answer_with(seq, '', body, first_run(lane, is_ahead()))
end

-- Writes what was claimed and answers it; `seqs` are all that leave their lanes.
local function finish_claim(heads, seqs)
  for _, head in ipairs(heads) do
    if head.taken > 0 then
      redis.call('ZREMRANGEBYRANK', LANE .. head.lane, 0, head.taken - 1)
      count(head.lane, PENDING, -head.taken)
    end
  end
  send('HSET', STATE, fields)
  send('ZADD', LEASES, leases)
  redis.call('HSET', P .. 'claims', worker, id .. ' ' .. table.concat(seqs, ' '))
  answer[3] = finish()
  return answer
end

local said = redis.call('HGET', P .. 'claims', worker)
local is_said = said and string.sub(said, 1, #id + 1) == id .. ' '

-- Claims jobs of one lane that never ran, when neither limits nor ends stand in their way; else nil.
local function claim_plain()
  if is_said or meta()[3] or redis.call('ZCARD', EXPIRING) > 0 or redis.call('ZCARD', P .. 'again') > 0 then
    return nil
  end
  local heads = find_heads()
  local head = heads[1]
  if not head then return answer end
  if #heads > 1 then return nil end
  local seqs = redis.call('ZRANGE', LANE .. head.lane, 0, limit - 1)
  local bodies = fetch('HMGET', BODY, seqs)
  for index, state in ipairs(fetch('HMGET', STATE, seqs)) do
    if state or not is_whole(bodies[index]) then return nil end
  end
  for index, seq in ipairs(seqs) do start_first(seq, bodies[index], head.lane) end
  count(head.lane, PROCESSING, number)
  head.taken = number
  return finish_claim(heads, seqs)
end

local claimed = claim_plain()
if claimed then return claimed end

-- then, with all parts:
if is_said then
  local seqs = {}
  for seq in string.gmatch(string.sub(said, #id + 1), '%d+') do seqs[#seqs + 1] = seq end
  local states, bodies = fetch('HMGET', STATE, seqs), fetch('HMGET', BODY, seqs)
  for index, seq in ipairs(seqs) do
    local state = states[index] and cmsgpack.unpack(states[index])
    if state and state[1] == PROCESSING and state[7] == worker then
      answer[#answer + 1] = seq
      answer[#answer + 1] = states[index]
      answer[#answer + 1] = bodies[index]
      leases[#leases + 1], leases[#leases + 2] = until_, seq
    end
  end
  send('ZADD', LEASES, leases)
  return answer
end

local EXPIRE_MANY = 1000
local more = expire(EXPIRE_MANY) == EXPIRE_MANY
save()
if more then return {1, at, finish(), 1} end
look_at_due_lines()
if in_force then open_gate() end

local heads = find_heads()

-- Whether limits let the first job of a lane start; it is counted then.
local function passes(head)
  local state = redis.call('HGET', STATE, place_of(head.seq))
  return pass_gate(head.queue, head.kind, state and (cmsgpack.unpack(state)[9] or {}).cost or 1)
end

-- The first of several lanes, by priority, then by place; lanes are read in portions.
local function merge()
  local portion = math.max(16, math.ceil(2 * limit / #heads))
  local chosen, lane_of = {}, {}

  local function refill(head)
    local last = head.read + portion - 1
    head.entries = redis.call('ZRANGE', LANE .. head.lane, head.read, last, 'WITHSCORES')
    head.read, head.at = head.read + #head.entries / 2, 1
    head.seq, head.score = head.entries[1], tonumber(head.entries[2])
  end

  for _, head in ipairs(heads) do refill(head) end
  while #chosen < limit do
    local first
    for _, head in ipairs(heads) do
      if head.seq and (not first or head.score < first.score
          or (head.score == first.score and head.seq < first.seq)) then
        first = head
      end
    end
    if not first then break end
    if in_force and not passes(first) then
      first.seq = nil
    else
      chosen[#chosen + 1], lane_of[#chosen + 1] = place_of(first.seq), first.lane
      first.taken, first.at = first.taken + 1, first.at + 2
      first.seq, first.score = first.entries[first.at], tonumber(first.entries[first.at + 1])
      if not first.seq and first.read < first.size then refill(first) end
    end
  end
  return chosen, lane_of
end

local seqs, lane_of
if #heads == 1 and not in_force then
  seqs = redis.call('ZRANGE', LANE .. heads[1].lane, 0, limit - 1)
  for index, name in ipairs(seqs) do
    if #name > PLACE then seqs[index] = place_of(name) end
  end
  heads[1].taken = #seqs
else
  seqs, lane_of = merge()
end
if #seqs == 0 then return {1, at, finish(), 0} end

local states, bodies = fetch('HMGET', STATE, seqs), fetch('HMGET', BODY, seqs)
local function start_again(seq, state, body)
  local job = job_of(seq, state, body)
  job.token, job.code, job.started, job.worker = job.token + 1, PROCESSING, now, worker
  job.ahead = is_ahead()
  start_running(job)
  tell('JobStarted', job, by)
  told[#told] = string.sub(told[#told], 1, -2)
  local stored = packed(job)
  answer_with(seq, stored, body, stored)
end

for index, seq in ipairs(seqs) do
  local body, state, lane = bodies[index], states[index], lane_of and lane_of[index] or heads[1].lane
  -- A body that is gone or damaged stays behind: its job is off its lane, and is in nobody's way.
  if is_whole(body) and (not state or pcall(cmsgpack.unpack, state)) then
    count(lane, PROCESSING, 1)
    if state then
      start_again(seq, state, body)
    else
      start_first(seq, body, lane)
    end
  end
end
if redis.call('ZCARD', EXPIRING) > 0 then send('ZREM', EXPIRING, seqs) end
look_at_lines()
for group in pairs(gate.changed) do redis.call('HSET', P .. 'rates', group, cmsgpack.pack(gate.taken[group])) end
return finish_claim(heads, seqs)
