-- Finds at most :limit jobs accepted before :before, the last one first, by the index of chunks: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM jobs
    WHERE jobs.parent = (SELECT seq FROM jobs WHERE id = :parent) AND jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
