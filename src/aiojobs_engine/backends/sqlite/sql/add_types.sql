-- Keeps published job types; the newest wins. :rows [[name, record], ...].
INSERT INTO types (name, record)
SELECT value ->> 0, value ->> 1 FROM json_each(:rows) WHERE true
ON CONFLICT (name) DO UPDATE SET record = excluded.record
