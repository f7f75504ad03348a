-- Finds the chunks and members of the jobs :seqs, and theirs: [seq, ...].
WITH RECURSIVE kin (seq) AS (
    SELECT jobs.seq FROM json_each(:seqs) CROSS JOIN jobs ON jobs.parent = value
    UNION ALL
    SELECT jobs.seq FROM kin CROSS JOIN jobs ON jobs.parent = kin.seq
)

SELECT json_group_array(seq) FROM kin
