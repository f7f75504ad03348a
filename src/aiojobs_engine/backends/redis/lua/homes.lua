#!lua flags=allow-oom
--[[ Writes down in how many homes a new store lies; a store with jobs that says nothing lies in one.

Uses base.
Request  how many, when it is new
Returns  how many
]]
redis.call('HSETNX', META, 'homes', redis.call('HGET', META, 'place') and 1 or request)
return redis.call('HGET', META, 'homes')
