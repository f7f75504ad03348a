-- Reads at most :limit runs, the last ended first: [record, ...].
SELECT json_group_array(json(record))
FROM (SELECT record FROM executions ORDER BY ended_at DESC LIMIT :limit)
