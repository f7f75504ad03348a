-- Deletes the oldest rows of events that the last :keep events can do without.
DELETE FROM events
WHERE seq < (
    SELECT seq
    FROM (SELECT seq, sum(count) OVER (ORDER BY seq DESC) AS kept FROM events)
    WHERE kept >= :keep
    ORDER BY seq DESC
    LIMIT 1
)
