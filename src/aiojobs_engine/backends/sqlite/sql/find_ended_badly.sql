-- Finds at most :limit jobs accepted before :before, the last one first, by the index of those that ended
-- without success: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM jobs
    WHERE jobs.status > 6 AND jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
