-- Finds what can be claimed: of each lane in :lanes the first :limit jobs, in claim order.
-- Returns the version of the lanes, and [[[priority, turn, seq, is past its expires_at], ...] per lane that has
-- any], and when the next line is to be looked at.
SELECT
    (SELECT lanes_version FROM meta),
    (
        SELECT '[' || group_concat(picked) || ']'
        FROM (
            SELECT (
                SELECT '[' || group_concat('[' || priority || ',' || turn || ',' || seq || ',' || past || ']') || ']'
                FROM (
                    SELECT
                        priority, coalesce(turn, seq * 1000) AS turn, seq,
                        expires_at IS NOT NULL AND expires_at <= :now AS past
                    FROM jobs
                    WHERE status = 2 AND held = 0 AND lane = chosen.value
                    ORDER BY priority DESC, coalesce(jobs.turn, seq * 1000), seq
                    LIMIT :limit
                )
            ) AS picked
            FROM json_each(:lanes) AS chosen
        )
    ),
    (SELECT min(again_at) FROM lines WHERE again_at IS NOT NULL)
