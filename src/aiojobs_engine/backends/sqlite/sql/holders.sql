-- Finds the jobs that hold the unique keys :keys: [[key, seq, id, lane, status, created_at], ...]; keys that
-- nobody holds are left out.
SELECT json_group_array(json_array(held.value, jobs.seq, jobs.id, lane, status, created_at))
FROM json_each(:keys) AS held
CROSS JOIN jobs ON jobs.seq = (SELECT max(seq) FROM jobs WHERE unique_key = held.value)
