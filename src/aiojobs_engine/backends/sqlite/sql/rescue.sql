-- Leases the jobs :seqs under their next token; the run that was lost stays the run.
UPDATE jobs
SET token = token + 1, lease_boot = :boot, lease_until = :until, worker = :worker
WHERE seq IN (SELECT value FROM json_each(:seqs))
