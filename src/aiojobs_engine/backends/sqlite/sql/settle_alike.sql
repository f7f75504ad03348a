-- Ends plain runs of one token for good that have the same to say, and neither result nor error; as `settle`
-- does.
UPDATE jobs
SET status = :status, attempts = :attempts, crashes = :crashes, finished_at = :now,
    lease_boot = NULL, lease_until = NULL, worker = NULL, cancelling = 0, pausing = 0,
    result_until = NULL, result = NULL, error = NULL
WHERE seq IN (SELECT value FROM json_each(:seqs))
AND token = :token AND status = 4 AND chunks = 0 AND parent IS NULL AND needed = 0 AND line IS NULL
