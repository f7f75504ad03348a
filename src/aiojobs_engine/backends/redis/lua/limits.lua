#!lua flags=no-writes
--[[ Reads all limits and what they count.

Uses base.
Returns  now, names and JSON, lanes and JSON, fields and counts, groups and what was taken from their rates
]]
return {at, redis.call('HGETALL', P .. 'limits'), redis.call('HGETALL', P .. 'lanes'), redis.call('HGETALL', TALLY),
  redis.call('HGETALL', P .. 'rates')}
