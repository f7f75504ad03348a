#!lua flags=no-writes
--[[ Reads numbers that must agree, all at one moment.

Uses base.
Request  ms after which a lease that ended, or a job that is due, is late
Returns  {jobs, bodies, leases, entries due, late leases, late jobs, events told, places given}, lanes and JSON, their pending jobs, fields and
         counts of the tally, lines, how many their limits hold back, fields of turns, names of cron entries
]]
local lanes, lines = redis.call('HGETALL', P .. 'lanes'), redis.call('HGETALL', P .. 'lines')
local pending, digests, parked, turns, names = {}, {}, {}, {}, {}
for index = 1, #lanes, 2 do pending[#pending + 1] = redis.call('ZCARD', LANE .. lanes[index]) end
for index = 1, #lines, 2 do
  digests[#digests + 1] = lines[index]
  parked[#parked + 1] = redis.call('ZCARD', P .. 'parked:' .. lines[index])
end
for index, field in ipairs(redis.call('HGETALL', P .. 'turns')) do
  if index % 2 == 1 then turns[#turns + 1] = field end
end
for index, field in ipairs(redis.call('HGETALL', P .. 'crons')) do
  if index % 2 == 1 then names[#names + 1] = field end
end
local numbers = {redis.call('ZCARD', JOBS), redis.call('HLEN', BODY), redis.call('ZCARD', LEASES),
  redis.call('ZCARD', DUE), redis.call('ZCOUNT', LEASES, '-inf', string.format('%.0f', elapsed - request)),
  redis.call('ZCOUNT', DUE, '-inf', string.format('%.0f', now - request)), tonumber(redis.call('HGET', META, 'events') or 0),
  redis.call('HGET', META, 'place') or '0'}
return {numbers, lanes, pending, redis.call('HGETALL', TALLY), digests, parked, turns, names}
