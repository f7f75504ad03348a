#!lua flags=allow-oom
--[[ Removes old final jobs that are no chunks, and results past their time.

Uses base, ledger, limits, flow, kin.
Request  {keeps, limit}; each keep is {codes, latest end in ms before now, number to keep}
Returns  nothing for events, the ids of the jobs removed
]]
local keeps, limit = request[1], request[2]
local removed, PORTION = {}, 100

local function head_of(shelf)
  if not shelf.entries or shelf.at > #shelf.entries then
    shelf.entries = redis.call('ZRANGE', ENDED .. shelf.code, shelf.skipped, shelf.skipped + PORTION - 1, 'WITHSCORES')
    shelf.at = 1
    local seqs = {}
    for index = 1, #shelf.entries, 2 do seqs[#seqs + 1] = shelf.entries[index] end
    load(seqs)
  end
  return shelf.entries[shelf.at], tonumber(shelf.entries[shelf.at + 1])
end

local function prune(keep)
  local shelves, left = {}, 0
  for _, code in ipairs(keep[1]) do
    shelves[#shelves + 1] = {code = code, skipped = 0}
    left = left + redis.call('ZCARD', ENDED .. code)
  end
  while #removed < limit do
    local first, first_seq, first_end
    for _, shelf in ipairs(shelves) do
      local seq, finished = head_of(shelf)
      if seq and (not first or finished < first_end or (finished == first_end and seq < first_seq)) then
        first, first_seq, first_end = shelf, seq, finished
      end
    end
    if not first or (first_end > now - keep[2] and left <= keep[3]) then return end
    left = left - 1
    first.at = first.at + 2
    local job = ledger[first_seq]
    if not job then
      redis.call('ZREM', ENDED .. first.code, first_seq)
    elseif is_running(job) then
      first.skipped = first.skipped + 1
    else
      removed[#removed + 1] = id_of(job)
      remove(job)
    end
  end
end

for _, keep in ipairs(keeps) do prune(keep) end

local over = redis.call('ZRANGEBYSCORE', KEPT, '-inf', at, 'LIMIT', 0, limit)
load(over)
for _, seq in ipairs(over) do
  local job = ledger[seq]
  if job then
    job.result = false
    change(job)
  end
end
send('ZREM', KEPT, over)

-- Ends of turns that the clocks have passed tell nothing any more.
local turns = redis.call('HGETALL', P .. 'turns')
for index = 1, #turns, 2 do
  redis.call('ZREMRANGEBYSCORE', P .. 'ends:' .. turns[index], '-inf', turns[index + 1])
end
save()
return {finish(), removed}
