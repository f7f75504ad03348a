-- Counts the final jobs of the statuses :statuses that are no chunks, as far as :most.
SELECT count(*)
FROM (
    SELECT 1
    FROM json_each(:statuses) CROSS JOIN jobs
    ON jobs.status = value AND jobs.finished_at IS NOT NULL AND jobs.parent IS NULL
    LIMIT :most
)
