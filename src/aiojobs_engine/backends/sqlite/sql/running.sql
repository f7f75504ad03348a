-- Finds those of the bulk jobs :seqs of which chunks run: [seq, ...].
SELECT json_group_array(value)
FROM json_each(:seqs)
WHERE EXISTS (SELECT 1 FROM jobs WHERE jobs.parent = value AND jobs.status = 4)
