-- Sends plain runs back to the queue: no bulk job, no chunk, no checkpoint, no limit by key, nothing asked of them meanwhile.
-- :rows [[seq, token, status, attempts, crashes, due_at, error, message, total], ...]; NULL leaves message
-- and total.
-- The counters go back to those of the last checkpoint.
UPDATE jobs
SET status = s.status, attempts = s.attempts, crashes = s.crashes,
    lease_boot = NULL, lease_until = NULL, worker = NULL,
    due_at = coalesce(
        s.due_at, CASE WHEN s.status < 2 THEN coalesce(jobs.scheduled_at, :now) ELSE jobs.due_at END
    ),
    scheduled_at = coalesce(s.due_at, jobs.scheduled_at),
    result_until = NULL, result = NULL, error = s.error, message = coalesce(s.message, jobs.message),
    succeeded = kept_succeeded, failed = kept_failed, skipped = kept_skipped,
    total = max(coalesce(s.total, jobs.total), kept_succeeded + kept_failed)
FROM (
    SELECT
        value ->> 0 AS seq, value ->> 1 AS token, value ->> 2 AS status, value ->> 3 AS attempts,
        value ->> 4 AS crashes, value ->> 5 AS due_at, value ->> 6 AS error, value ->> 7 AS message,
        value ->> 8 AS total
    FROM (SELECT value FROM json_each(:rows) LIMIT -1)
) AS s
WHERE jobs.seq = s.seq AND jobs.token = s.token AND jobs.status = 4 AND jobs.chunks = 0
AND jobs.parent IS NULL AND jobs.line IS NULL AND jobs.cancelling = 0 AND jobs.pausing = 0
