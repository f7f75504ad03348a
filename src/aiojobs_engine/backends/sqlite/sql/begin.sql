-- Notes that the leases :leases, which were claimed ahead, run now, [[seq, token], ...]; stale ones are left
-- out.
UPDATE jobs
SET ahead = 0
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS token FROM json_each(:leases)) AS held
WHERE jobs.seq = held.seq AND jobs.token = held.token AND jobs.status = 4
