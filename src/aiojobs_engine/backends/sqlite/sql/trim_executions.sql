-- Deletes the runs that ended at :before or earlier, and the oldest that the last :keep can do without; at most :limit.
DELETE FROM executions
WHERE number IN (
    SELECT number
    FROM executions
    WHERE ended_at <= max(
        :before,
        coalesce((SELECT ended_at - 1 FROM executions ORDER BY ended_at DESC LIMIT 1 OFFSET :keep - 1), 0)
    )
    ORDER BY ended_at
    LIMIT :limit
)
