-- Leases the jobs :seqs under their next token, and starts their run; that of those in :ahead has yet to
-- begin.
UPDATE jobs
SET status = 4, token = token + 1, lease_boot = :boot, lease_until = :until, worker = :worker,
    started_at = :now,
    ahead = seq IN (SELECT value FROM json_each(:ahead))
WHERE seq IN (SELECT value FROM json_each(:seqs))
