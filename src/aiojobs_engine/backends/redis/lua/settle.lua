#!lua flags=allow-oom
--[[ Ends runs: state, counters, parent, failed rows and events of each together; stale ones change nothing.

Uses base, then ledger, limits, flow, kin.
Request  settlements and groups of them, in order. A settlement is {place, token, status, attempts, crashes, event
         as JSON, result or false, its end in ms or false, rest or false}; rest has due, error, counters, message,
         cursor, faults, resolved. A group is runs that end alike, with nothing of their own to say: {places, token,
         status, attempts, crashes, lengths of their events as JSON, these events in a row with commas}
Returns  the events' entry, then 1 when all runs hold, or of each 1 when it does, 0 when its lease is stale
]]
local answers, known, settled = {}, {}, {}
local fields, leases, ended, kept, written = {}, {}, {}, {}, 0

-- The state after the end of a run of which nothing but the state is known; jobs of the same state share it.
local function state_after(job, code, attempts, crashes)
  if job.after and job.code == code and job.attempts == attempts and job.crashes == crashes then
    return job.after
  end
  job.code, job.attempts, job.crashes = code, attempts, crashes
  job.after = cmsgpack.pack({code, job[2], attempts, crashes, job[5], now, false, job[8], false, false})
  return job.after
end

local function write_end(seq, job, code, after)
  settled[seq] = job[2]
  fields[2 * written + 1], fields[2 * written + 2] = seq, after
  written = written + 1
  leases[written] = seq
  local shelf = ended[code]
  if not shelf then
    shelf = {size = 0, lanes = {}}
    ended[code] = shelf
  end
  local size, lane = shelf.size, job[8]
  shelf[size + 1], shelf[size + 2] = at, seq
  shelf.size = size + 2
  shelf.lanes[lane] = (shelf.lanes[lane] or 0) + 1
end

local function known_state(state)
  local job = known[state]
  if not job then
    job = cmsgpack.unpack(state)
    known[state] = job
  end
  return job
end

-- Whether a run ends by its state alone.
local function is_plain_end(job, token, code)
  return job[1] == PROCESSING and job[2] == token and not job[9] and code >= COMPLETED
end

local function end_one(job, settlement)
  local seq, result, ends = settlement[1], settlement[7], settlement[8]
  write_end(seq, job, settlement[3], cmsgpack.pack({settlement[3], job[2], settlement[4], settlement[5], job[5], now, false,
    job[8], ends and {ends = ends} or false, result}))
  if ends then kept[#kept + 1], kept[#kept + 2] = string.format('%.0f', ends), seq end
  told[#told + 1] = settlement[6]
end

local function end_group(group, states, from)
  for index, seq in ipairs(group[1]) do
    local job = known_state(states[from + index])
    write_end(seq, job, group[3], state_after(job, group[3], group[4], group[5]))
  end
  told[#told + 1] = group[7]
  told_many = told_many + #group[1] - 1
end

-- Writes the ends that `write_end` took.
local function write_ends()
  send('HSET', STATE, fields)
  send('ZREM', LEASES, leases)
  send('ZADD', KEPT, kept)
  for code, shelf in pairs(ended) do
    send('ZADD', ENDED .. code, shelf)
    for lane, number in pairs(shelf.lanes) do
      count(lane, PROCESSING, -number)
      count(lane, code, number)
    end
  end
end

local seqs = {}
for _, each in ipairs(request) do
  if type(each[1]) == 'string' then
    seqs[#seqs + 1] = each[1]
  else
    for _, seq in ipairs(each[1]) do seqs[#seqs + 1] = seq end
  end
end
local states = fetch('HMGET', STATE, seqs)

-- Whether all runs hold and end by their state alone, none twice, and no limits are in force.
local function are_plain()
  if meta()[3] then return false end
  local seen, number = {}, 0
  for _, each in ipairs(request) do
    if each[9] then return false end
    for _ = 1, type(each[1]) == 'string' and 1 or #each[1] do
      number = number + 1
      local seq, state = seqs[number], states[number]
      if not state or seen[seq] or not is_plain_end(known_state(state), each[2], each[3]) then return false end
      seen[seq] = true
    end
  end
  return true
end

if are_plain() then
  local number = 0
  for _, each in ipairs(request) do
    if type(each[1]) == 'string' then
      number = number + 1
      end_one(known_state(states[number]), each)
    else
      end_group(each, states, number)
      number = number + #each[1]
    end
  end
  write_ends()
  return {finish(), 1}
end

-- then, with all parts:
local function keep_result(job, result, result_until)
  job.result = result
  job.x.ends = result and result_until or nil
  if job.x.ends then
    redis.call('ZADD', KEPT, string.format('%.0f', result_until), job.seq)
  else
    redis.call('ZREM', KEPT, job.seq)
  end
end

-- Does what was asked of the run and not heeded by it.
local function carry_out_requests(job)
  local was_cancelling, was_pausing = job.x.cancelling, job.x.pausing
  job.x.cancelling, job.x.pausing = nil, nil
  if was_cancelling then
    cancel(job)
  elseif was_pausing then
    pause(job)
  end
  end_if_done(job)
end

local function end_run(job, settlement)
  local code, rest = settlement[3], settlement[9] or {}
  job.attempts, job.crashes, job.x.error = settlement[4], settlement[5], rest.error
  report(job, rest.counters, rest.message, rest.cursor)
  if code < COMPLETED and code ~= WAITING then
    job.x.counters = kept_counters(job)
  end
  if rest.due then job.x.due = rest.due end
  keep_result(job, settlement[7], settlement[8])
  move(job, code)
  told[#told + 1] = settlement[6]
  if rest.faults then note_faults(job.x.parent or job.seq, rest.faults) end
  if code >= COMPLETED then
    after_end(job, rest.resolved, true)
  else
    carry_out_requests(job)
  end
end

-- Ends one run, and says whether its lease holds.
local function settle(seq, token, state, settlement)
  if not state then return 0 end
  if settled[seq] then return settled[seq] == token and 1 or 0 end
  local job = not ledger[seq] and known_state(state)
  if job and not settlement[9] and is_plain_end(job, token, settlement[3]) then
    end_one(job, settlement)
    return 1
  end
  local whole = get(seq)
  if not whole or whole.token ~= token or token <= 0 then return 0 end
  if whole.code == PROCESSING then end_run(whole, settlement) end
  return 1
end

-- Whether all runs of a group end by their state alone; each place stands in it once.
local function is_plain(group, from)
  local seen = {}
  for index, seq in ipairs(group[1]) do
    local state = states[from + index]
    if not state or ledger[seq] or settled[seq] or seen[seq] then return false end
    if not is_plain_end(known_state(state), group[2], group[3]) then return false end
    seen[seq] = true
  end
  return true
end

local function settle_group(group, from)
  local places, token, code, attempts, crashes, first = group[1], group[2], group[3], group[4], group[5], 1
  if is_plain(group, from) then
    end_group(group, states, from)
    for index = 1, #places do answers[from + index] = 1 end
    return
  end
  for index, seq in ipairs(places) do
    local event = string.sub(group[7], first, first + group[6][index] - 1)
    first = first + group[6][index] + 1
    answers[from + index] = settle(seq, token, states[from + index],
      {seq, token, code, attempts, crashes, event, false, false, false})
  end
end

for _, each in ipairs(request) do
  local number = #answers
  if type(each[1]) == 'table' then
    settle_group(each, number)
  else
    answers[number + 1] = settle(each[1], each[2], states[number + 1], each)
  end
end

woke = woke or (written > 0 and in_force)
write_ends()
save()
return {finish(), answers}
