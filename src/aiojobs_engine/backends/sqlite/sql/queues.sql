-- Reads every queue by name, and since when its oldest pending job is due: [[name, is paused, since or
-- null], ...].
SELECT json_group_array(json_array(name, json(CASE WHEN paused THEN 'true' ELSE 'false' END), since))
FROM (
    SELECT name, max(paused) AS paused, min(since) AS since
    FROM (
        SELECT name, paused, NULL AS since FROM queues
        UNION ALL
        SELECT queue, 0, NULL FROM lanes
        UNION ALL
        SELECT queue, 0, since
        FROM (
            SELECT lane, min(due_at) AS since FROM jobs WHERE status = 2 AND held = 0 GROUP BY lane
            UNION ALL
            SELECT lane, min(due_at) FROM jobs WHERE status = 2 AND held = 1 GROUP BY lane
        )
        JOIN lanes USING (lane)
    )
    GROUP BY name
    ORDER BY name
)
