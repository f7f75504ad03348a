#!lua
--[[ Stores new jobs with their `JobCreated`; those whose id is stored already are left as they are.

Uses base, ledger, kin.
Request  jobs, each {id, number of its body, due in ms or false, lane as JSON, unique or false}; no id twice.
         What is unique is {digest of queue and key, codes that keep others out as a set of text keys, window in ms
         or false, true to replace, longest wait in ms or false, numbers of the two parts of its envelope before
         and after the time of its dispatch}
Returns  the events' entry, then for each job 1 when it was stored, the body of the one that has its id, or
         {the id of the one that keeps it out}
]]
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
  job.code = (not due or due <= now) and PENDING or SCHEDULED
  shelve(job)
  change(job)
  if job.code ~= before then tell('JobInterrupted', job) end
end

local function type_of(ident)
  return cjson.decode('[' .. ident .. ']')[2]
end

-- Stores a unique job, unless the newest one of its key keeps it out.
local function enqueue_unique(given)
  local job = holder_of(given)
  if not job then
    add({given})
    return 1
  end
  local is_open = job.code == SCHEDULED or job.code == PENDING
  if given[5][4] and is_open and type_of(job.ident) == cjson.decode(given[4])[2] then replace(job, given) end
  return {id_of(job)}
end

local ids, fresh, answers, held, is_plain = {}, {}, {}, {}, true
for index, job in ipairs(request) do
  ids[index] = job[1]
  is_plain = is_plain and not job[5]
end
for index, seq in ipairs(fetch('ZMSCORE', JOBS, ids)) do
  answers[index] = 1
  if seq then
    held[#held + 1] = seq
    answers[index] = seq
  elseif not is_plain and request[index][5] then
    answers[index] = enqueue_unique(request[index])
  elseif not is_plain then
    add({request[index]})
  else
    fresh[#fresh + 1] = request[index]
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
save()
return {finish(), answers}
