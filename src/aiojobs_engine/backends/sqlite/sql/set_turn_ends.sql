-- Keeps where the last turns of keys end. :rows [[queue, priority, key, end], ...].
INSERT INTO turn_ends (queue, priority, key, ends)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:rows) WHERE true
ON CONFLICT (queue, priority, key) DO UPDATE SET ends = excluded.ends
