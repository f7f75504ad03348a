-- Finds what can be claimed: of each lane in :lanes the first :limit jobs, in claim order.
-- Returns the version of the lanes, and [[[priority, seq, is past its expires_at], ...] per lane that has
-- any].
SELECT
    (SELECT lanes_version FROM meta),
    (
        SELECT '[' || group_concat(picked) || ']'
        FROM (
            SELECT (
                SELECT '[' || group_concat('[' || priority || ',' || seq || ',' || past || ']') || ']'
                FROM (
                    SELECT priority, seq, expires_at IS NOT NULL AND expires_at <= :now AS past
                    FROM jobs
                    WHERE status = 2 AND lane = chosen.value
                    ORDER BY priority DESC, seq
                    LIMIT :limit
                )
            ) AS picked
            FROM json_each(:lanes) AS chosen
        )
    )
