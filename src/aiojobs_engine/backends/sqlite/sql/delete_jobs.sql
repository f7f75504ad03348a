-- Deletes the rows of the jobs :seqs.
DELETE FROM jobs WHERE seq IN (SELECT value FROM json_each(:seqs))
