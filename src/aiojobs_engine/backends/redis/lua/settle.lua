#!lua flags=allow-oom
--[[ Ends runs: state, counters, parent, failed rows and events of each together; stale ones change nothing.

Uses base, ledger, kin.
Request  settlements, each {place, token, status, attempts, crashes, event as JSON, result or false,
         its end in ms or false, rest or false}; rest has due, error, counters, message, cursor, faults, resolved
Returns  the events' entry, then of each 1 when it holds, 0 when its lease is stale
]]
local seqs = {}
for index, settlement in ipairs(request) do seqs[index] = settlement[1] end
local states, answers = fetch('HMGET', STATE, seqs), {}
local known, made, written, settled = {}, {}, {}, {}
local fields, leases, ended, kept, begun = {}, {}, {}, {}, {}

-- The end of a job that has nothing but a state; `job` is shared by all jobs of the same state.
local function end_plainly(seq, job, state, settlement)
  local code, result, result_until = settlement[3], settlement[7], settlement[8]
  local key = not result and code .. ' ' .. settlement[4] .. ' ' .. settlement[5] .. state
  local after = key and made[key]
  if not after then
    after = cmsgpack.pack({code, job[2], settlement[4], settlement[5], job[5], now, false, job[8],
      result_until and {ends = result_until} or false, result})
    if key then made[key] = after end
  end
  settled[seq] = true
  fields[#fields + 1], fields[#fields + 2] = seq, after
  leases[#leases + 1] = seq
  begun[#begun + 1] = seq .. ':' .. job[2]
  local shelf = ended[code]
  if not shelf then
    shelf = {}
    ended[code] = shelf
  end
  shelf[#shelf + 1], shelf[#shelf + 2] = at, seq
  if result_until then
    kept[#kept + 1], kept[#kept + 2] = string.format('%.0f', result_until), seq
  end
  count(job[8], PROCESSING, -1)
  count(job[8], code, 1)
  told[#told + 1] = settlement[6]
end

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

for index, settlement in ipairs(request) do
  local seq, state = settlement[1], states[index]
  local job = state and (known[state] or cmsgpack.unpack(state))
  answers[index] = 0
  if job then
    known[state] = job
    if settled[seq] then
      answers[index] = job[2] == settlement[2] and 1 or 0
    elseif not ledger[seq] and job[1] == PROCESSING and job[2] == settlement[2] and not job[9]
        and settlement[3] >= COMPLETED and not settlement[9] then
      end_plainly(seq, job, state, settlement)
      answers[index] = 1
    else
      local whole = get(seq)
      if whole and whole.token == settlement[2] and whole.token > 0 then
        if whole.code == PROCESSING then end_run(whole, settlement) end
        answers[index] = 1
      end
    end
  end
end
send('HSET', STATE, fields)
send('ZREM', LEASES, leases)
send('SREM', AHEAD, begun)
send('ZADD', KEPT, kept)
for code, entries in pairs(ended) do send('ZADD', ENDED .. code, entries) end
save()
return {finish(), answers}
