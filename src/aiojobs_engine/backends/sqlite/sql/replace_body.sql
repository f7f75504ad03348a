-- Gives the job :seq another envelope under its id and place; what the ledger writes is left to it.
UPDATE jobs
SET lane = :lane, priority = :priority, user_id = :user_id, body = CAST(:body AS BLOB), cost = :cost, line = :line,
    held = :line IS NOT NULL AND status = 2,
    untaken = CASE WHEN turn IS NULL THEN :share END
WHERE seq = :seq
