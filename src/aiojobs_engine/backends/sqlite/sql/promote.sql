-- Makes at most :limit due jobs claimable, those that were due first.
UPDATE jobs
SET status = 2, due_at = coalesce(scheduled_at, created_at), held = line IS NOT NULL
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE status < 2 AND due_at <= :now
    ORDER BY due_at, seq
    LIMIT :limit
)
