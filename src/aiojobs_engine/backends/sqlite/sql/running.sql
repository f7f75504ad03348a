-- Finds those of the jobs :seqs of which chunks or members run, or theirs: [seq, ...].
WITH RECURSIVE kin (root, seq, status) AS (
    SELECT value, jobs.seq, jobs.status FROM json_each(:seqs) CROSS JOIN jobs ON jobs.parent = value
    UNION ALL
    SELECT kin.root, jobs.seq, jobs.status FROM kin CROSS JOIN jobs ON jobs.parent = kin.seq
)

SELECT json_group_array(DISTINCT root) FROM kin WHERE status = 4
