-- Keeps what rates have let through. :rows [[queue, type, state], ...].
INSERT INTO rates (queue, type, state)
SELECT value ->> 0, value ->> 1, value -> 2 FROM json_each(:rows) WHERE true
ON CONFLICT (queue, type) DO UPDATE SET state = excluded.state
