-- Deletes what the jobs :seqs wait for.
DELETE FROM needs WHERE dependent IN (SELECT value FROM json_each(:seqs))
