-- Finds at most :limit pending jobs of the lanes :lanes that belong to no others, of the lowest priority first, then those that
-- were accepted first: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq FROM jobs
    WHERE jobs.status = 2 AND jobs.parent IS NULL AND jobs.lane IN (SELECT value FROM json_each(:lanes))
    ORDER BY jobs.priority, jobs.seq
    LIMIT :limit
)
