-- Stores entries, new or changed. :rows [[name, revision, is_code, overlap, settled_to, seen_at, record], ...].
INSERT INTO crons (name, revision, is_code, overlap, settled_to, seen_at, record)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(:rows)
WHERE true
ON CONFLICT (name) DO UPDATE
SET revision = excluded.revision, overlap = excluded.overlap, settled_to = excluded.settled_to,
    seen_at = excluded.seen_at, record = excluded.record
