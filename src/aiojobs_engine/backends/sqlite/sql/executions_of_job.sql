-- Reads at most :limit runs of the job :job, of :type and :cron unless they are NULL, the last ended first: [record, ...].
SELECT json_group_array(json(record))
FROM (
    SELECT record
    FROM executions
    WHERE job = :job AND type = coalesce(:type, type) AND (:cron IS NULL OR cron = :cron)
    ORDER BY ended_at DESC
    LIMIT :limit
)
