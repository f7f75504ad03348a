-- Reads jobs by number, as `rows.SeenJob` has them: [[...], ...]; unknown ones are left out.
SELECT json_group_array(json_array(
    jobs.seq, jobs.id, status, attempts, crashes, epoch, scheduled_at, started_at, finished_at, worker,
    succeeded, failed, skipped, total, message, error,
    CASE WHEN result_until <= :now THEN NULL ELSE CAST(result AS TEXT) END,
    CAST(coalesce(jobs.body, bodies.body) AS TEXT)
))
FROM json_each(:seqs) CROSS JOIN jobs ON jobs.seq = value LEFT JOIN bodies ON bodies.seq = jobs.seq
