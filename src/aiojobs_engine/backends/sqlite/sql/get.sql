-- Reads jobs by id, as `rows.SeenJob` has them: [[...], ...]; unknown ids are left out.
SELECT json_group_array(json_array(
    jobs.seq, jobs.id, status, attempts, crashes, epoch, scheduled_at, started_at, finished_at, worker,
    succeeded, failed, skipped, total, message, error,
    CASE WHEN result_until <= :now THEN NULL ELSE CAST(result AS TEXT) END,
    CAST(coalesce(jobs.body, bodies.body) AS TEXT)
))
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value LEFT JOIN bodies ON bodies.seq = jobs.seq
