-- Reads at most :limit runs of the job type :type, the last ended first: [record, ...].
SELECT json_group_array(json(record))
FROM (SELECT record FROM executions WHERE type = :type ORDER BY ended_at DESC LIMIT :limit)
