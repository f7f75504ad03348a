-- Makes at most :limit due jobs claimable, those that were due first.
UPDATE jobs
SET status = 'pending', due_at = coalesce(scheduled_at, created_at)
WHERE seq IN (
    SELECT seq FROM jobs
    WHERE status IN ('scheduled', 'retrying') AND due_at <= :now
    ORDER BY due_at, seq
    LIMIT :limit
)
