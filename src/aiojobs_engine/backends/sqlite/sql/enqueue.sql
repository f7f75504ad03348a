-- Stores new jobs in order, and leaves out those whose id is there already.
-- :rows [[id, lane, status, priority, created_at, due_at, scheduled_at, expires_at, total, user_id, parent, reopened,
-- start, length], ...] with the place of the body in :bodies, 1 based; a length of 0 leaves the body to `add_bodies`.
INSERT INTO jobs (
    id, lane, status, priority, created_at, due_at, scheduled_at, expires_at, total, user_id, parent, reopened, body
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
    value ->> 9, value ->> 10, value ->> 11, iif(value ->> 13, substr(:bodies, value ->> 12, value ->> 13), NULL)
FROM (SELECT value FROM json_each(:rows) LIMIT -1)
WHERE true
ON CONFLICT (id) DO NOTHING
