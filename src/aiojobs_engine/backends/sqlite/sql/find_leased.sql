-- Finds at most :limit jobs accepted before :before, the last one first, by the index of leases: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM jobs INDEXED BY jobs_leased
    WHERE jobs.status = 4 AND jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
