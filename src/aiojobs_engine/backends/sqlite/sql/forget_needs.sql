-- Deletes what the jobs :seqs wait for, and who was cancelled for want of them.
DELETE FROM needs
WHERE dependent IN (SELECT value FROM json_each(:seqs)) OR job IN (SELECT value FROM json_each(:seqs))
