-- Takes the jobs :seqs out of their batches.
UPDATE jobs SET parent = NULL WHERE seq IN (SELECT value FROM json_each(:seqs))
