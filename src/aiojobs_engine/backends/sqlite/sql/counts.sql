-- Counts jobs by queue and status from the indexes alone: [[queue, status, number], ...].
SELECT json_group_array(json_array(queue, status, number))
FROM (
    SELECT queue, status, sum(number) AS number
    FROM (
        SELECT lane, 2 AS status, count(*) AS number FROM jobs WHERE status = 2 AND held = 0 GROUP BY lane
        UNION ALL
        SELECT lane, 2, count(*) FROM jobs WHERE status = 2 AND held = 1 GROUP BY lane
        UNION ALL
        SELECT lane, 4, count(*) FROM jobs WHERE status = 4 GROUP BY lane
        UNION ALL
        SELECT lane, status, count(*) FROM jobs WHERE status < 2 GROUP BY lane, status
        UNION ALL
        SELECT lane, status, count(*) FROM jobs WHERE status IN (3, 5) GROUP BY status, lane
        UNION ALL
        SELECT lane, status, count(*) FROM jobs WHERE finished_at IS NOT NULL AND parent IS NULL GROUP BY status, lane
        UNION ALL
        SELECT lane, status, count(*) FROM jobs INDEXED BY jobs_chunks
        WHERE parent IS NOT NULL AND status > 5
        GROUP BY status, lane
    )
    JOIN lanes USING (lane)
    GROUP BY queue, status
)
