--[[ A new job that finds an idle worker waiting is leased to it at once and sent there, which spares the worker its claim.

What a worker leaves while it waits is `CLAIM LEASE TELL ,LANE,LANE,`: the id of its next claim, the lease in ms or 0 when it
takes no job so, 1 when it wants to hear of events, and its lanes.
]]
local LONGEST = 65536

-- A worker that waits for jobs of a lane and can be reached; none while older jobs or a pause come first.
local function find_idle(lane, body)
  local fit = idle_workers(lane, 1)
  if #fit == 0 or #body > LONGEST or redis.call('EXISTS', LANE .. lane, P .. 'paused') > 0 then return nil end
  for index = 1, #fit, 2 do
    local worker = fit[index]
    local claim, lease, tell = string.match(fit[index + 1], '^(%S+) (%d+) (%d) ')
    if lease ~= '0' and redis.call('PUBSUB', 'NUMSUB', P .. 'wake:' .. worker)[2] > 0 then
      return {worker = worker, claim = claim, lease = tonumber(lease), tell = tell == '1'}
    end
  end
  return nil
end

-- Leases a job that stands on no lane to an idle worker, as one claimed ahead, for nobody knows whether it comes there;
-- the events of its dispatch are stored by now.
local function hand_over(idle, seq, body, lane)
  local worker = idle.worker
  told, told_many, tallied, few = {started(body, ',' .. cjson.encode(worker) .. ']')}, 0, {}, {}
  count(lane, PROCESSING, 1)
  redis.call('HSET', STATE, seq, first_state(worker, lane, true))
  redis.call('ZADD', LEASES, string.format('%.0f', elapsed + idle.lease), seq)
  redis.call('HSET', P .. 'claims', worker, idle.claim .. ' ' .. seq)
  redis.call('HDEL', P .. 'waiting', worker)
  write_counts()
  local entry = store_events(idle.tell)
  local envelope = string.sub(body, envelope_at(body))
  redis.call('PUBLISH', P .. 'wake:' .. worker, cmsgpack.pack({idle.claim, at, seq, entry[1], entry[2], envelope}))
end
