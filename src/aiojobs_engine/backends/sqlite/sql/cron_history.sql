-- Reads at most :limit fires of the entry :name before the row :before, the newest first:
-- [[seq, [at, fired_at, outcome, job_id, missed_from, waits_for]], ...].
SELECT json_group_array(json_array(seq, json_array(at, fired_at, outcome, job_id, missed_from, waits_for)))
FROM (
    SELECT seq, at, fired_at, outcome, job_id, missed_from, waits_for
    FROM cron_fires
    WHERE name = :name AND seq < :before
    ORDER BY seq DESC
    LIMIT :limit
)
