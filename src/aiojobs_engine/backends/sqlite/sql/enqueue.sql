-- Stores new jobs in order, and leaves out those whose id is there already.
-- :rows [[id, lane, status, priority, created_at, start, length], ...] with the place of the body in
-- :bodies, 1 based;
-- a length of 0 leaves the body to `add_bodies`. A row may end with
-- [due_at, scheduled_at, expires_at, total, user_id, parent, reopened, unique_key, cost, line,
-- untaken].
INSERT INTO jobs (
    id, lane, status, priority, created_at, body,
    due_at, scheduled_at, expires_at, total, user_id, parent, reopened, unique_key, cost, line, held, untaken
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
    CASE WHEN value ->> 6 THEN substr(:bodies, value ->> 5, value ->> 6) END,
    coalesce(more ->> 0, value ->> 4), more ->> 1, more ->> 2, coalesce(more ->> 3, 0), more ->> 4, more ->> 5,
    coalesce(more ->> 6, 0), more ->> 7,
    coalesce(more ->> 8, 1), more ->> 9, more ->> 9 IS NOT NULL AND value ->> 2 = 2, more ->> 10
FROM (SELECT value, value -> 7 AS more FROM json_each(:rows) LIMIT -1)
WHERE true
ON CONFLICT (id) DO NOTHING
