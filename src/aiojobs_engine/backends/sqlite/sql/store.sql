-- Writes all that has changed of jobs. :rows is [[the columns of `load` in their order, then error, is it new,
-- start and length of the result, is it new, start and length of the cursor, is it new], ...], with results and
-- cursors in :blobs, 1 based, a length of 0 for none. A job that runs keeps its lease.
UPDATE jobs
SET status = s.row ->> 3, token = s.row ->> 4, attempts = s.row ->> 5, crashes = s.row ->> 6, epoch = s.row ->> 7,
    due_at = s.row ->> 8, scheduled_at = s.row ->> 9, expires_at = s.row ->> 10, started_at = s.row ->> 11,
    finished_at = s.row ->> 12, worker = s.row ->> 13, cancelling = s.row ->> 14, pausing = s.row ->> 15,
    succeeded = s.row ->> 16, failed = s.row ->> 17, skipped = s.row ->> 18, total = s.row ->> 19,
    kept_succeeded = s.row ->> 20, kept_failed = s.row ->> 21, kept_skipped = s.row ->> 22,
    chunks = s.row ->> 25, open_chunks = s.row ->> 26, progress_at = s.row ->> 27, result_until = s.row ->> 28,
    message = s.row ->> 30, needs = s.row ->> 31, needed = s.row ->> 32,
    held = line IS NOT NULL AND s.row ->> 3 = 2,
    lease_boot = CASE WHEN s.row ->> 3 = 4 THEN lease_boot END,
    lease_until = CASE WHEN s.row ->> 3 = 4 THEN lease_until END,
    error = CASE WHEN s.row ->> 36 THEN s.row ->> 35 ELSE error END,
    result = CASE
        WHEN NOT s.row ->> 39 THEN result
        WHEN s.row ->> 38 THEN substr(:blobs, s.row ->> 37, s.row ->> 38)
    END,
    cursor = CASE
        WHEN NOT s.row ->> 42 THEN cursor
        WHEN s.row ->> 41 THEN substr(:blobs, s.row ->> 40, s.row ->> 41)
    END
FROM (SELECT value AS row FROM json_each(:rows) LIMIT -1) AS s
WHERE jobs.seq = s.row ->> 0
