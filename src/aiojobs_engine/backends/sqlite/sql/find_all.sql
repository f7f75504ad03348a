-- Finds at most :limit jobs accepted before :before, the last one first, by reading the jobs from the newest
-- one on: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM jobs
    WHERE jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
