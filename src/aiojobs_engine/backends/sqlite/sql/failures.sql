-- Reads at most :limit failed rows of the job :id behind the row :after, in order; with :unresolved only
-- those:
-- [[row, key, payload, field, message, history, is resolved], ...].
SELECT json_group_array(json_array(
    row_number, row_key, json(payload), field, message, json(history),
    json(CASE WHEN resolved THEN 'true' ELSE 'false' END)
))
FROM (
    SELECT row_number, row_key, payload, field, message, history, resolved
    FROM failures
    WHERE job = (SELECT seq FROM jobs WHERE id = :id) AND row_number > :after AND resolved <= NOT :unresolved
    ORDER BY row_number
    LIMIT :limit
)
