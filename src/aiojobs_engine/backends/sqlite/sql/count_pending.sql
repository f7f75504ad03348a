-- Counts the pending jobs of the lanes :lanes, at most :most.
SELECT count(*)
FROM (
    SELECT 1 FROM json_each(:lanes) AS chosen CROSS JOIN jobs AS open
    WHERE open.status = 2 AND open.held = 0 AND open.lane = chosen.value
    UNION ALL
    SELECT 1 FROM json_each(:lanes) AS chosen CROSS JOIN jobs AS back
    WHERE back.status = 2 AND back.held = 1 AND back.lane = chosen.value
    LIMIT :most
)
