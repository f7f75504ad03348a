-- Reads what a claim hands out of the jobs :seqs, in that order, before their lease changes hands:
-- [[seq, token, attempts, crashes, epoch, total, more], ...], where `more` is null for a job without a past,
-- else
-- [succeeded, failed, skipped, kept_succeeded, kept_failed, kept_skipped, chunks, cancelling, started_at,
-- worker,
-- cursor as hex, ahead, trace of the error]; and the bodies as one JSON array.
SELECT
    '[' || group_concat(json_array(
        jobs.seq, token, attempts, crashes, epoch, total,
        CASE WHEN cursor IS NOT NULL OR worker IS NOT NULL OR chunks > 0 OR cancelling = 1 OR error IS NOT NULL THEN json_array(
            succeeded, failed, skipped, kept_succeeded, kept_failed, kept_skipped, chunks, cancelling,
            started_at, worker, CASE WHEN cursor IS NOT NULL THEN hex(cursor) END, ahead,
            error ->> '$.trace'
        ) END
    )) || ']',
    CAST(
        '[' || group_concat(coalesce(body, (SELECT body FROM bodies WHERE bodies.seq = jobs.seq))) || ']' AS BLOB
    )
FROM json_each(:seqs) CROSS JOIN jobs ON jobs.seq = value
