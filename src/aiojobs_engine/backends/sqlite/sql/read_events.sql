-- Reads about :limit events after the place :place of the row :row: [[row, count], ...] and all events of
-- these rows as
-- one JSON array, the newest event's [row, place] last.
SELECT
    json_group_array(json_array(seq, count)),
    CAST('[' || group_concat(substr(body, 2, length(body) - 2)) || ']' AS BLOB),
    coalesce((SELECT json_array(seq, count - 1) FROM events ORDER BY seq DESC LIMIT 1), json_array(0, 0))
FROM (
    SELECT seq, count, body
    FROM (
        SELECT seq, count, body, sum(count) OVER (ORDER BY seq) - count AS before
        FROM (
            SELECT seq, count, body FROM events
            WHERE seq >= :row AND (seq > :row OR count > :place + 1)
            ORDER BY seq
            LIMIT :limit
        )
    )
    WHERE before < :limit
    ORDER BY seq
)
