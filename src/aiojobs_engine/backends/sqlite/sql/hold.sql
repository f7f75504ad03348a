-- Reads what a claim hands out of the jobs :seqs, in that order, before their lease changes hands:
-- [[seq, token, attempts, crashes, epoch, succeeded, failed, skipped, kept_succeeded, kept_failed, kept_skipped, total,
-- chunks, cancelling, started_at, worker, cursor as hex, ahead],
-- ...], and the bodies as one JSON array.
SELECT
    '[' || group_concat(json_array(
        jobs.seq, token, attempts, crashes, epoch, succeeded, failed, skipped,
        kept_succeeded, kept_failed, kept_skipped, total, chunks, cancelling, started_at, worker,
        iif(cursor IS NULL, NULL, hex(cursor)), ahead
    )) || ']',
    CAST(
        '[' || group_concat(coalesce(body, (SELECT body FROM bodies WHERE bodies.seq = jobs.seq))) || ']' AS BLOB
    )
FROM json_each(:seqs) CROSS JOIN jobs ON jobs.seq = value
