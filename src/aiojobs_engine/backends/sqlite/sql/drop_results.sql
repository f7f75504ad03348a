-- Drops at most :limit results that are past their time; the jobs go on knowing that they had one.
UPDATE jobs
SET result = NULL
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE result_until IS NOT NULL AND result IS NOT NULL AND result_until <= :now
    ORDER BY result_until
    LIMIT :limit
)
