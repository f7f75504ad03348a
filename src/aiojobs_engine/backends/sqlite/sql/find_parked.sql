-- Finds at most :limit jobs accepted before :before, the last one first, by the index of waiting and paused
-- ones: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM jobs INDEXED BY jobs_parked
    WHERE jobs.status IN (3, 5) AND jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
