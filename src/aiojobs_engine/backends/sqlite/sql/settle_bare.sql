-- Ends plain runs that leave nothing behind but their status, by the same rules as settle.sql at two thirds of the cost.
-- :rows [[seq, token, status, attempts, crashes], ...].
UPDATE jobs
SET status = s.status, attempts = s.attempts, crashes = s.crashes, finished_at = :now,
    lease_boot = NULL, lease_until = NULL, worker = NULL, cancelling = 0, pausing = 0,
    result_until = NULL, error = NULL, result = NULL
FROM (
    SELECT
        value ->> 0 AS seq, value ->> 1 AS token, value ->> 2 AS status, value ->> 3 AS attempts,
        value ->> 4 AS crashes
    FROM (SELECT value FROM json_each(:rows) LIMIT -1)
) AS s
WHERE jobs.seq = s.seq AND jobs.token = s.token AND jobs.status = 4 AND jobs.chunks = 0
AND jobs.parent IS NULL
