-- Deletes the failed rows of the jobs :seqs.
DELETE FROM failures WHERE job IN (SELECT value FROM json_each(:seqs))
