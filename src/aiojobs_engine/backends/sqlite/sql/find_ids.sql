-- Finds at most :limit jobs accepted before :before, the last one first, among the ids :ids: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM (SELECT DISTINCT value AS wanted FROM json_each(:ids)) CROSS JOIN jobs ON jobs.id = wanted
    WHERE jobs.seq < :before
    --: fits
    ORDER BY jobs.seq DESC
    LIMIT :limit
)
