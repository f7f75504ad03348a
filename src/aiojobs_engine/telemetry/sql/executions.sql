-- Reads at most :limit runs that fit all that is not NULL, the newest first.
SELECT record
FROM executions
WHERE (:job_id IS NULL OR job_id = :job_id)
AND (:type IS NULL OR type = :type)
AND (:name IS NULL OR name = :name)
AND (:source IS NULL OR source = :source)
ORDER BY number DESC
LIMIT :limit
