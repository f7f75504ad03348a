#!lua flags=no-writes
--[[ Looks whether what a key holds belongs to jobs that stand there by their state.

Uses base, ledger, limits, flow.
Request  {family of the key, what follows it in the key's name, members or fields}
Returns  those that belong to no job, those whose job stands elsewhere
]]
local family, of, entries = request[1], request[2], request[3]
local key = P .. family .. (of ~= '' and ':' .. of or '')
local is_hash = family == 'body' or family == 'state' or family == 'faults'
local OF_ONE = {rows = true, faults = true, dependents = true, lost = true}
local stray, other = {}, {}

local function place_in(entry)
  if family == 'uniques' then return string.match(entry, ':(%d+)$') end
  if OF_ONE[family] then return of end
  return place_of(entry)
end

local function is_pending_as(job, name)
  return job.code == PENDING and name_of(job) == name
end

local STANDS = {
  body = function() return true end,
  state = function() return true end,
  rows = function() return true end,
  faults = function() return true end,
  lane = function(job, name) return is_pending_as(job, name) and job.lane == of end,
  open = function(job, name) return is_pending_as(job, name) and job.x.line == of end,
  parked = function(job, name) return is_pending_as(job, name) and job.x.line == of end,
  due = function(job) return job.code == SCHEDULED or job.code == RETRYING end,
  expiring = function(job) return is_queued(job.code) end,
  leases = function(job) return job.code == PROCESSING end,
  kept = function() return true end,
  ended = function(job) return tostring(job.code) == of end,
  uniques = function(job, member) return (job.x.unique or '') .. ':' .. job.seq == member end,
  chunks = function(job) return job.x.parent == of end,
  lost = function() return true end,
  dependents = function() return true end, -- one that was cancelled meanwhile is left there until the job ends
}

-- The job of a place, nil when there is none, false when it can't be read.
local function job_at(seq)
  if not tonumber(seq) or #redis.call('ZRANGEBYSCORE', JOBS, seq, seq, 'LIMIT', 0, 1) == 0 then return nil end
  local body = redis.call('HGET', BODY, seq)
  local is_whole, job = pcall(job_of, seq, redis.call('HGET', STATE, seq), body)
  return is_whole and job
end

for _, entry in ipairs(entries) do
  local is_there = redis.call(is_hash and 'HGET' or 'ZSCORE', key, entry)
  local job = is_there and job_at(place_in(entry))
  if is_there and job == nil then
    stray[#stray + 1] = entry
  elseif is_there and job and not STANDS[family](job, entry) then
    other[#other + 1] = entry
  end
end
return {stray, other}
