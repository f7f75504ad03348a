-- Ends plain runs for good: no bulk job, no chunk, no checkpoint. Touches only rows whose lease holds.
-- :rows [[seq, token, status, attempts, crashes, result_until, error, message, succeeded, failed, skipped, total,
-- start, length], ...] with the place of the result in :results, 1 based; NULL leaves message and counters,
-- a length of 0 is no result.
UPDATE jobs
SET status = s.status, attempts = s.attempts, crashes = s.crashes, finished_at = :now,
    lease_boot = NULL, lease_until = NULL, worker = NULL, cancelling = 0, pausing = 0,
    result_until = s.result_until, error = s.error, message = coalesce(s.message, jobs.message),
    succeeded = coalesce(s.succeeded, jobs.succeeded), failed = coalesce(s.failed, jobs.failed),
    skipped = coalesce(s.skipped, jobs.skipped), total = coalesce(s.total, jobs.total),
    result = iif(s.length, substr(:results, s.start, s.length), NULL)
FROM (
    SELECT
        value ->> 0 AS seq, value ->> 1 AS token, value ->> 2 AS status, value ->> 3 AS attempts,
        value ->> 4 AS crashes, value ->> 5 AS result_until, value ->> 6 AS error, value ->> 7 AS message,
        value ->> 8 AS succeeded, value ->> 9 AS failed, value ->> 10 AS skipped, value ->> 11 AS total,
        value ->> 12 AS start, value ->> 13 AS length
    FROM (SELECT value FROM json_each(:rows) LIMIT -1)
) AS s
WHERE jobs.seq = s.seq AND jobs.token = s.token AND jobs.status = 4 AND jobs.chunks = 0
AND jobs.parent IS NULL
