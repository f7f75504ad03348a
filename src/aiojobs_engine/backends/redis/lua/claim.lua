#!lua
--[[ Leases pending jobs in claim order, with their `JobStarted`; those past their time expire first.

Uses base, ledger, kin.
Request  {claim id, worker, limit, ahead, lease in ms, number of known lanes, lanes as {lane, queue}}
Returns  {0, all lanes and their JSON} when others are known by now; else
         {1, now, the events' entry, 1 when more may follow, then of each job: place, state or '', body}
The same claim id again answers with what is still held of the first answer.
]]
local id, worker, limit, ahead, lease = request[1], request[2], request[3], request[4], request[5]
local lanes = request[7]
if redis.call('HLEN', P .. 'lanes') ~= request[6] then return {0, redis.call('HGETALL', P .. 'lanes')} end

local said = redis.call('HGET', P .. 'claims', worker)
if said and string.sub(said, 1, #id + 1) == id .. ' ' then
  local answer = {1, at, false, 0}
  local seqs = {}
  for seq in string.gmatch(string.sub(said, #id + 1), '%d+') do seqs[#seqs + 1] = seq end
  local states, bodies = fetch('HMGET', STATE, seqs), fetch('HMGET', BODY, seqs)
  for index, seq in ipairs(seqs) do
    local state = states[index] and cmsgpack.unpack(states[index])
    if state and state[1] == PROCESSING and state[7] == worker then
      answer[#answer + 1] = seq
      answer[#answer + 1] = states[index]
      answer[#answer + 1] = bodies[index]
    end
  end
  return answer
end

local EXPIRE_MANY = 1000
local more = expire(EXPIRE_MANY) == EXPIRE_MANY
save()
if more then return {1, at, finish(), 1} end

-- The heads of the lanes that hold something, read in portions.
local paused, heads = {}, {}
for _, queue in ipairs(redis.call('SMEMBERS', P .. 'paused')) do paused[queue] = true end
for _, lane in ipairs(lanes) do
  if not paused[lane[2]] then
    local size = redis.call('ZCARD', LANE .. lane[1])
    if size > 0 then heads[#heads + 1] = {lane = lane[1], size = size, read = 0, taken = 0} end
  end
end
local portion = #heads > 1 and math.max(16, math.ceil(2 * limit / #heads)) or limit

local function refill(head)
  head.entries = redis.call('ZRANGE', LANE .. head.lane, head.read, head.read + portion - 1, 'WITHSCORES')
  head.read, head.at = head.read + #head.entries / 2, 1
  head.seq, head.score = head.entries[1], tonumber(head.entries[2])
end

local function advance(head)
  head.taken, head.at = head.taken + 1, head.at + 2
  head.seq, head.score = head.entries[head.at], tonumber(head.entries[head.at + 1])
  if not head.seq and head.read < head.size then refill(head) end
end

local seqs, lane_of = {}, {}
for _, head in ipairs(heads) do refill(head) end
while #seqs < limit do
  local first
  for _, head in ipairs(heads) do
    if head.seq and (not first or head.score < first.score
        or (head.score == first.score and head.seq < first.seq)) then
      first = head
    end
  end
  if not first then break end
  seqs[#seqs + 1] = first.seq
  lane_of[#seqs] = first.lane
  advance(first)
end
if #seqs == 0 then return {1, at, finish(), 0} end

local states, bodies = fetch('HMGET', STATE, seqs), fetch('HMGET', BODY, seqs)
local until_ = string.format('%.0f', elapsed + lease)
local by = ',' .. cjson.encode(worker) .. ']'
local answer, fields, leases, waiting, begun, expiring = {1, at, false, 0}, {}, {}, {}, {}, {}
local number = 0
for index, seq in ipairs(seqs) do
  local body, state, lane = bodies[index], states[index], lane_of[index]
  local expires, total, ident, user, kin, _
  if body and #body > HEAD_BYTES then
    _, _, expires, _, total, ident, user, kin = struct.unpack(HEAD, body)
  end
  -- A body that is gone or damaged stays behind: its job is off its lane, and is in nobody's way.
  if ident and HEAD_BYTES + ident + user + kin < #body and (not state or pcall(cmsgpack.unpack, state)) then
    number = number + 1
    local attempt, sums
    local from = HEAD_BYTES + 1
    if not state then
      local now_running = begun[lane]
      if not now_running then
        now_running = cmsgpack.pack({PROCESSING, 1, 0, 0, now, false, worker, lane, false, false})
        begun[lane] = now_running
      end
      fields[#fields + 1], fields[#fields + 2] = seq, now_running
      attempt, sums = 1, '",0,' .. total .. ',0,0,'
      state = ''
    else
      local job = job_of(seq, state, body)
      job.token, job.code, job.started, job.worker = job.token + 1, PROCESSING, now, worker
      local run = counters(job)
      state = packed(job)
      fields[#fields + 1], fields[#fields + 2] = seq, state
      attempt = job.attempts + 1
      sums = '",' .. run[1] + run[2] .. ',' .. run[4] .. ',' .. run[1] .. ',' .. run[2] .. ','
    end
    count(lane, PROCESSING, 1)
    leases[#leases + 1], leases[#leases + 2] = until_, seq
    if expires >= 0 then expiring[#expiring + 1] = seq end
    told[#told + 1] = '["JobStarted",' .. string.sub(body, from, from + ident - 1) .. ',"processing' .. sums
      .. string.sub(body, from + ident, from + ident + user - 1) .. ',' .. attempt .. ',' .. at .. ',"",'
      .. string.sub(body, from + ident + user, from + ident + user + kin - 1) .. by
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = seq, state, body
  end
end
for index = math.max(0, limit - ahead) + 1, number do
  local state = answer[3 * index + 3]
  local token = state == '' and 1 or cmsgpack.unpack(state)[2]
  waiting[#waiting + 1] = answer[3 * index + 2] .. ':' .. token
end
for _, head in ipairs(heads) do
  if head.taken > 0 then
    redis.call('ZREMRANGEBYRANK', LANE .. head.lane, 0, head.taken - 1)
    count(head.lane, PENDING, -head.taken)
  end
end
send('HSET', STATE, fields)
send('ZADD', LEASES, leases)
send('ZREM', EXPIRING, expiring)
send('SADD', AHEAD, waiting)
redis.call('HSET', P .. 'claims', worker, id .. ' ' .. table.concat(seqs, ' '))
answer[3] = finish()
return answer
