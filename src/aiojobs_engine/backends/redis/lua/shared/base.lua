--[[ What every script starts with: names of keys, the time, calls of many arguments, counts and events.

KEYS  1 meta      hash; whatever stands before `meta` in its name begins the names of all other keys
ARGV  1 now       wall clock in ms, empty for that of the server; only tests set it
      2 elapsed   clock of leases in ms, empty for that of the server; only tests set it
      3 bound     events to keep
      4 tell      1 when the caller wants the events that the script stores
      5 request   MessagePack, as the script's own head says
      6 bodies    of the jobs that it names by their number, any number of them
]]
local P = string.sub(KEYS[1], 1, -5)
local META, JOBS, BODY, STATE, TALLY = KEYS[1], P .. 'jobs', P .. 'body', P .. 'state', P .. 'tally'
local LEASES, DUE, EXPIRING, KEPT = P .. 'leases', P .. 'due', P .. 'expiring', P .. 'kept'
local LANE, ENDED, EVENTS = P .. 'lane:', P .. 'ended:', P .. 'events'
local SCHEDULED, WAITING, PENDING, PROCESSING, PAUSED, RETRYING = 0, 1, 2, 3, 4, 5
local COMPLETED, PARTIAL, FAILED, CANCELLED, DISCARDED, EXPIRED = 6, 7, 8, 9, 10, 11
local NAMES = {[0] = 'scheduled', 'waiting', 'pending', 'processing', 'paused', 'retrying', 'completed',
  'partial', 'failed', 'cancelled', 'discarded', 'expired'}
local MANY, LOOKED_AT = 4000, 16
local HEAD, HEAD_BYTES = '<HHHBc8i4ddd', 43

local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = ARGV[1] == '' and math.floor(micros / 1000) or tonumber(ARGV[1])
local elapsed = ARGV[2] == '' and math.floor(micros / 1000) or tonumber(ARGV[2])
local at = string.format('%.0f', now)
local request = ARGV[5] and cmsgpack.unpack(ARGV[5])

local function send(command, key, arguments)
  local count = #arguments
  for first = 1, count, MANY do
    redis.call(command, key, unpack(arguments, first, math.min(first + MANY - 1, count)))
  end
end

local function fetch(command, key, fields)
  local count = #fields
  if count == 0 then return {} end
  if count <= MANY then return redis.call(command, key, unpack(fields)) end
  local found = {}
  for first = 1, count, MANY do
    local part = redis.call(command, key, unpack(fields, first, math.min(first + MANY - 1, count)))
    for index = 1, #part do found[first + index - 1] = part[index] end
  end
  return found
end

-- The pieces of JSON in a head: who the job is, its user, its parent; how much of the body they take; and whether
-- the job has a user, a parent, a total, a priority or an end, none of which most jobs have.
local function pieces(body)
  local a, b, c, d, e, f, flags = string.byte(body, 1, 7)
  local ident = HEAD_BYTES + a + 256 * b
  local user = ident + c + 256 * d
  if flags == 0 then return string.sub(body, HEAD_BYTES + 1, ident), 'null', 'null', flags end
  local parent = user + e + 256 * f
  return string.sub(body, HEAD_BYTES + 1, ident), string.sub(body, ident + 1, user),
    string.sub(body, user + 1, parent), flags
end

-- What scripts ask of META, read once: first and last place given, limits in force.
local known

local function meta()
  known = known or redis.call('HMGET', META, 'base', 'place', 'limits')
  return known
end

-- Numbers for new jobs in the order of acceptance. They begin at the microsecond of the first one, so that a server
-- which forgot all gives none of them again.
local function places(wanted)
  local base, place = meta()[1], meta()[2]
  if not base then
    base = string.format('%.0f', micros)
    redis.call('HSET', META, 'base', base)
  end
  local first = tonumber(place or base) + 1
  known[1], known[2] = base, string.format('%.0f', first + wanted - 1)
  redis.call('HSET', META, 'place', known[2])
  return first
end

local function format_place(number)
  return string.format('%.0f', number)
end

-- Where the envelope begins in a body.
local function envelope_at(body)
  local a, b, c, d, e, f = string.byte(body, 1, 6)
  return HEAD_BYTES + a + c + e + 256 * (b + d + f) + 1
end

-- Counts by lane and status, written at the end.
local tallied = {}

local function count(lane, code, by)
  local field = lane .. code
  tallied[field] = (tallied[field] or 0) + by
end

-- Events in their stored form, written at the end as one entry of the stream; `told_many` are those that stand
-- together with another one.
local told, told_many = {}, 0

-- Whether all workers are to be woken, and jobs that became pending, by lane, for which a few may do.
local woke, few = false, {}

local function wake_for(lane, number)
  few[lane] = (few[lane] or 0) + number
end

-- Some idle workers that wait for jobs of a lane, at random, each followed by what it left: see `handover`.
local function idle_workers(lane, wanted)
  local found, fit = redis.call('HRANDFIELD', P .. 'waiting', math.max(LOOKED_AT, 4 * wanted), 'WITHVALUES'), {}
  for index = 1, #found, 2 do
    if string.find(found[index + 1], ',' .. lane .. ',', 1, true) then
      fit[#fit + 1], fit[#fit + 2] = found[index], found[index + 1]
    end
  end
  return fit
end

-- Wakes an idle worker for each such job, if there are so many.
local function wake_idle()
  for lane, wanted in pairs(few) do
    local fit = idle_workers(lane, wanted)
    if #fit < 2 * wanted then return false end
    for index = 1, #fit, 2 do
      if wanted > 0 then
        redis.call('HDEL', P .. 'waiting', fit[index])
        wanted = wanted - redis.call('PUBLISH', P .. 'wake:' .. fit[index], '')
      end
    end
    if wanted > 0 then return false end
  end
  return true
end

local function trim(total)
  local last = false
  while true do
    local from = last and '(' .. last or '-'
    local entries = redis.call('XRANGE', EVENTS, from, '+', 'COUNT', 100)
    for _, entry in ipairs(entries) do
      if total - tonumber(entry[2][4]) < tonumber(ARGV[3]) then
        if last then redis.call('XTRIM', EVENTS, 'MINID', '=', entry[1]) end
        return
      end
      last = entry[1]
    end
    if #entries == 0 then return end
  end
end

local function place_of_events()
  if ARGV[1] == '' then return '*' end
  local newest = redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
  local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0
  return string.format('%.0f-*', math.max(now, last))
end

local function store_events(is_told)
  if #told == 0 then return false end
  local body, number = '[' .. table.concat(told, ',') .. ']', #told + told_many
  local total = redis.call('HINCRBY', META, 'events', number)
  local id = redis.call('XADD', EVENTS, place_of_events(), 'n', number, 'c', total, 'b', body)
  if math.floor(total / 4096) ~= math.floor((total - number) / 4096) then trim(total) end
  redis.call('PUBLISH', P .. 'told', '')
  return {id, is_told and body or ''}
end

local function write_counts()
  for field, by in pairs(tallied) do
    if by ~= 0 and redis.call('HINCRBY', TALLY, field, by) == 0 then redis.call('HDEL', TALLY, field) end
  end
end

-- Writes what has gathered; answers the entry of the events, false without any, with them when the caller wants them.
local function finish()
  write_counts()
  if woke or not wake_idle() then redis.call('PUBLISH', P .. 'wake', '') end
  return store_events(ARGV[4] == '1')
end
