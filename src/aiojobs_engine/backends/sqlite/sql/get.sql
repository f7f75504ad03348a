-- Reads jobs by id, as `rows.SeenJob` has them: [[...], ...]; unknown ids are left out.
SELECT json_group_array(json_array(
    jobs.seq, jobs.id, status, attempts, crashes, epoch, scheduled_at, started_at, finished_at, worker,
    succeeded, failed, skipped, total, message, error,
    iif(result_until <= :now, NULL, CAST(result AS TEXT)), CAST(coalesce(jobs.body, bodies.body) AS TEXT)
))
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value LEFT JOIN bodies ON bodies.seq = jobs.seq
