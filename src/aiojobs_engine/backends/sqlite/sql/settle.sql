-- Ends plain runs for good: no bulk job, no chunk, no checkpoint, no limit by key, and nobody waits for them. Touches
-- only rows whose lease holds.
-- :rows [[seq, token, status, attempts, crashes, result_until, start, length], ...] with the place of the
-- result in
-- :results, 1 based, a length of 0 for none; a row may end with
-- [error, message, succeeded, failed, skipped, total], of which NULL leaves the message and the counters.
UPDATE jobs
SET status = s.status, attempts = s.attempts, crashes = s.crashes, finished_at = :now,
    lease_boot = NULL, lease_until = NULL, worker = NULL, cancelling = 0, pausing = 0,
    result_until = s.result_until, result = CASE WHEN s.length THEN substr(:results, s.start, s.length) END,
    error = s.more ->> 0,
    message = coalesce(s.more ->> 1, jobs.message),
    succeeded = coalesce(s.more ->> 2, jobs.succeeded),
    failed = coalesce(s.more ->> 3, jobs.failed),
    skipped = coalesce(s.more ->> 4, jobs.skipped),
    total = coalesce(s.more ->> 5, jobs.total)
FROM (
    SELECT
        value ->> 0 AS seq, value ->> 1 AS token, value ->> 2 AS status, value ->> 3 AS attempts,
        value ->> 4 AS crashes, value ->> 5 AS result_until, value ->> 6 AS start, value ->> 7 AS length,
        value -> 8 AS more
    FROM (SELECT value FROM json_each(:rows) LIMIT -1)
) AS s
WHERE jobs.seq = s.seq AND jobs.token = s.token AND jobs.status = 4 AND jobs.chunks = 0
AND jobs.parent IS NULL AND jobs.needed = 0 AND jobs.line IS NULL
