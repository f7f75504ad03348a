-- Reads all that may change of the jobs :seqs, in the order of `ledger.JobRow`; unknown ones are left out.
SELECT json_group_array(json_array(
    seq, jobs.id, lane, status, token, attempts, crashes, epoch, due_at, scheduled_at, expires_at, started_at,
    finished_at, worker, cancelling, pausing, succeeded, failed, skipped, total, kept_succeeded, kept_failed, kept_skipped,
    jobs.parent, reopened, chunks, open_chunks, progress_at, result_until, user_id, message,
    jobs.needs, jobs.needed, line, untaken IS NOT NULL
))
FROM json_each(:seqs) CROSS JOIN jobs ON jobs.seq = value
