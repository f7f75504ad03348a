-- Reads at most :limit runs of the cron entry :cron, of :type unless it is NULL, the last ended first: [record, ...].
SELECT json_group_array(json(record))
FROM (
    SELECT record
    FROM executions
    WHERE cron = :cron AND type = coalesce(:type, type)
    ORDER BY ended_at DESC
    LIMIT :limit
)
