-- Reads when the next job is due, NULL when none is scheduled.
SELECT min(due_at) FROM jobs WHERE status < 2
