-- Removes all but the newest :keep runs, and those that ended before :before with all that were stored before them.
DELETE FROM executions
WHERE number <= max(
    (SELECT coalesce(max(number), 0) FROM executions) - :keep,
    (SELECT coalesce(max(number), 0) FROM executions WHERE ended_at < :before)
)
