-- Writes one entry.
INSERT INTO {table} (job_id, body) VALUES (:job_id, :body)
