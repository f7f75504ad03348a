-- Finds of each lane and each of the statuses :statuses the :share jobs that ended first and are no chunks:
-- [[[finished_at, seq, id, whether chunks run], ...] per lane and status that has any].
SELECT '[' || group_concat(oldest) || ']'
FROM (
    SELECT (
        SELECT '[' || group_concat(
            json_array(finished_at, seq, id, json(CASE WHEN running THEN 'true' ELSE 'false' END))
        ) || ']'
        FROM (
            SELECT
                finished_at, seq, id,
                open_chunks > 0 AS running
            FROM jobs
            WHERE status = wanted.value AND lane = lanes.lane AND finished_at IS NOT NULL AND parent IS NULL
            ORDER BY finished_at, seq
            LIMIT :share
        )
    ) AS oldest
    FROM json_each(:statuses) AS wanted CROSS JOIN lanes
)
