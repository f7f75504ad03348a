-- Stores a run.
INSERT INTO executions (job_id, type, name, source, status, ended_at, record)
VALUES (:job_id, :type, :name, :source, :status, :ended_at, :record)
