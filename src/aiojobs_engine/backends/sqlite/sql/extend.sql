-- Lets the leases :leases end at :until, [[seq, token], ...], where the token is the newest and has not
-- settled.
UPDATE jobs
SET lease_boot = :boot, lease_until = :until
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS token FROM json_each(:leases)) AS held
WHERE jobs.seq = held.seq AND jobs.token = held.token AND jobs.status = 4
