-- Stores limits. :rows [[queue, type, by_key, origin, record], ...].
INSERT INTO limits (queue, type, by_key, origin, record)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(:rows) WHERE true
ON CONFLICT (queue, type, by_key, origin) DO UPDATE SET record = excluded.record
