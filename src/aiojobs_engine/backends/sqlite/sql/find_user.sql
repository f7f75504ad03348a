-- Finds at most :limit jobs accepted before :before, the last one first, by the index of users: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM jobs
    WHERE user_id IS NOT NULL AND CAST(user_id AS TEXT) = :user AND jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
