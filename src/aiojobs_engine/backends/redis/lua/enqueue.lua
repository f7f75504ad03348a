#!lua
--[[ Stores new jobs with their `JobCreated`; those whose id is stored already are left as they are.

Uses base, starts, handover, then ledger, limits, flow, kin, links, room.
Request  jobs and groups of them, in order; no id twice. A group is jobs of a lane that ask for nothing special: {number
         of the first one's body, ids, lane as JSON, what follows the id in the identity of each}. A job is {id, number of
         its body, due in ms or false, lane as JSON, unique or false, flow or false, links or false}. Links are {true of a
         batch, id of the batch that it is a member of or false, needs as {id, end}}. What is unique is {digest of queue
         and key, codes that keep others out as a set of text keys, window in ms or false, true to replace, longest wait
         in ms or false, numbers of the two parts of its envelope before and after the time of its dispatch}
Returns  the events' entry, then 1 when all jobs were stored at once, or for each 1 when it was, 0 when its queue has no
         room for it, the body of the one that has its id, or {the id of the one that keeps it out}; when a job is bound
         to one that is not there, nothing is stored, and the answer is false, no jobs, and the id of that one
]]
-- Whether all jobs stand in groups, are new, and no limits are in force; gathers their ids.
local function are_plain(ids)
  if meta()[3] then return false end
  for _, group in ipairs(request) do
    if type(group[1]) == 'string' then return false end
    for _, id in ipairs(group[2]) do ids[#ids + 1] = id end
  end
  for _, seq in ipairs(fetch('ZMSCORE', JOBS, ids)) do
    if seq then return false end
  end
  return true
end

-- Stores groups; what is handed over stands on no lane.
local function add_groups(first, is_handed_over)
  local jobs, bodies, ready, size = {}, {}, {}, 0
  for _, group in ipairs(request) do
    local number, ids, lane = 4 + group[1], group[2], string.sub(ARGV[5 + group[1]], 8, 15)
    local entries = ready[lane] or {}
    ready[lane] = entries
    local queued = #entries
    for index, id in ipairs(ids) do
      local seq = format_place(first + size / 2)
      jobs[size + 1], jobs[size + 2] = seq, id
      bodies[size + 1], bodies[size + 2] = seq, ARGV[number + index]
      entries[queued + 1], entries[queued + 2] = 0, seq
      size, queued = size + 2, queued + 2
    end
    local rest = '"' .. group[4] .. ',"pending",0,0,0,0,null,0,' .. at .. ',"",null]'
    told[#told + 1] = '["JobCreated","' .. table.concat(ids, rest .. ',["JobCreated","') .. rest
    told_many = told_many + #ids - 1
    redis.call('HSETNX', P .. 'lanes', lane, group[3])
  end
  send('ZADD', JOBS, jobs)
  send('HSET', BODY, bodies)
  if is_handed_over then return end
  for lane, entries in pairs(ready) do
    send('ZADD', LANE .. lane, entries)
    count(lane, PENDING, #entries / 2)
    wake_for(lane, #entries / 2)
  end
end

local new = {}
if are_plain(new) then
  local first, body = places(#new), ARGV[5 + request[1][1]]
  local lane = string.sub(body, 8, 15)
  local idle = #new == 1 and find_idle(lane, body)
  add_groups(first, idle)
  local entry = finish()
  if idle then hand_over(idle, format_place(first), body, lane) end
  return {entry, 1}
end

-- then, with all parts:
local function each_alone()
  local jobs = {}
  for _, each in ipairs(request) do
    if type(each[1]) == 'string' then
      jobs[#jobs + 1] = each
    else
      for index, id in ipairs(each[2]) do
        jobs[#jobs + 1] = {id, each[1] + index - 1, false, each[3], false, false, false}
      end
    end
  end
  return jobs
end

request = each_alone()

local function holder_of(given)
  local rule = given[5]
  local found = redis.call('ZREVRANGEBYLEX', P .. 'uniques', '[' .. rule[1] .. ';', '[' .. rule[1] .. ':', 'LIMIT', 0, 1)
  local job = found[1] and get(string.sub(found[1], #rule[1] + 2))
  if not job or not rule[2][tostring(job.code)] or (rule[3] and now - job.created >= rule[3]) then return nil end
  return job
end

-- Gives a job that waits everything of a new one but its id, its place and the time of its dispatch.
local function replace(job, given)
  local before, body, rule, id = job.code, ARGV[5 + given[2]], given[5], id_of(job)
  local _, user_bytes, kin_bytes, flags, lane, priority, expires, _, total = struct.unpack(HEAD, body)
  local ident, user, kin = pieces(body)
  local due = given[3]
  if due and rule[5] then due = math.min(due, job.created + rule[5]) end
  local stands = '"' .. id .. '"' .. string.sub(ident, #given[1] + 3)
  local envelope = '{"id":"' .. id .. '"' .. ARGV[5 + rule[6]] .. string.format('%.0f', job.created)
    .. (due and string.format(',"scheduled_at":%.0f', due) or '') .. ARGV[5 + rule[7]]
  unshelve(job)
  redis.call('HSET', BODY, job.seq,
    struct.pack(HEAD, #stands, user_bytes, kin_bytes, flags, lane, priority, expires, job.created, total)
      .. stands .. user .. kin .. envelope)
  redis.call('HSETNX', P .. 'lanes', lane, given[4])
  job.lane, job.priority, job.expires, job.total, job.ident = lane, priority, expires, total, stands
  job.user, job.parent = user, kin
  job.x.due, job.x.free = due or nil, nil
  set_flow(job.x, given[6] or {false, '', '', 1, false, 1})
  job.code = (not due or due <= now) and PENDING or SCHEDULED
  shelve(job)
  change(job)
  if job.code ~= before then tell('JobInterrupted', job) end
end

local function type_of(ident)
  return cjson.decode('[' .. ident .. ']')[2]
end

local function finds_no_room(given)
  return bounds and refuses(cjson.decode(given[4])[1], given[3])
end

-- Stores a unique job, unless the newest one of its key keeps it out or its queue has no room.
local function enqueue_unique(given)
  local job = holder_of(given)
  if not job then
    if finds_no_room(given) then return 0 end
    add({given})
    return 1
  end
  local is_open = job.code == SCHEDULED or job.code == PENDING
  if given[5][4] and is_open and type_of(job.ident) == cjson.decode(given[4])[2] then replace(job, given) end
  return {id_of(job)}
end

local function takes_members(here, id)
  local batch = by_ids({id})[1]
  if not batch then return here[id] and here[id][7] and here[id][7][1] end
  return batch.x.batch and batch.code == WAITING and not batch.x.cancelling
end

-- A job that a new one names and that is not stored, or takes no members; nil when all is there.
local function missing_link(stored)
  local here = {}
  for index, given in ipairs(request) do
    local links = given[7]
    if links and not stored[index] then
      if links[2] and not takes_members(here, links[2]) then return links[2] end
      for _, need in ipairs(links[3]) do
        if not here[need[1]] and not redis.call('ZSCORE', JOBS, need[1]) then return need[1] end
      end
    end
    here[given[1]] = given
  end
  return nil
end

-- Lets go of new batches now that their members are stored, and cancels what can't start any more.
local function close_batches(linked)
  for _, job in ipairs(linked) do
    if job.x.batch then
      job.x.open = job.x.open - 1
      end_if_done(job)
    elseif job.x.error and job.code == WAITING then
      cancel_waiting(job)
    end
  end
end

-- Lets bounded queues drop what the new jobs that are bound to no others are too many of.
local function shed_new(answers)
  local new, queues = {}, {}
  for index, given in ipairs(request) do
    local queue = cjson.decode(given[4])[1]
    if answers[index] == 1 and not given[7] and bounds[queue] then
      if not new[queue] then queues[#queues + 1] = queue end
      new[queue] = new[queue] or {}
      table.insert(new[queue], given[1])
    end
  end
  for _, queue in ipairs(queues) do shed(queue, new[queue]) end
end

local ids, fresh, answers, held, linked, is_plain, is_linked = {}, {}, {}, {}, {}, true, false
for index, job in ipairs(request) do
  ids[index] = job[1]
  is_plain = is_plain and not job[5] and not job[7]
  is_linked = is_linked or job[7]
end
local stored = fetch('ZMSCORE', JOBS, ids)
if is_linked then
  local missing = missing_link(stored)
  if missing then return {false, {}, missing} end
end
for index, given in ipairs(request) do
  answers[index] = 1
  if stored[index] then
    held[#held + 1] = stored[index]
    answers[index] = stored[index]
  elseif given[7] then
    linked[#linked + 1] = add_linked(given)
    free = {}
  elseif given[5] then
    answers[index] = enqueue_unique(given)
  elseif finds_no_room(given) then
    answers[index] = 0
  elseif is_plain then
    fresh[#fresh + 1] = given
  else
    add({given})
  end
end
local bodies, next_body = fetch('HMGET', BODY, held), 1
for index, answer in ipairs(answers) do
  if type(answer) == 'string' then
    answers[index] = bodies[next_body]
    next_body = next_body + 1
  end
end
add(fresh)
if bounds then shed_new(answers) end
close_batches(linked)
save()
return {finish(), answers}
