-- Reads at most :limit fires of the entry :name before the row :before, the newest first:
-- [[seq, at, fired_at, outcome, job_id, missed_from], ...].
SELECT json_group_array(json_array(seq, at, fired_at, outcome, job_id, missed_from))
FROM (
    SELECT seq, at, fired_at, outcome, job_id, missed_from
    FROM cron_fires
    WHERE name = :name AND seq < :before
    ORDER BY seq DESC
    LIMIT :limit
)
