-- Gives the job :seq another envelope under its id and place; what the ledger writes is left to it.
UPDATE jobs SET lane = :lane, priority = :priority, user_id = :user_id, body = CAST(:body AS BLOB) WHERE seq = :seq
