-- Deletes the rows of the jobs :seqs.
DELETE FROM bodies WHERE seq IN (SELECT value FROM json_each(:seqs))
