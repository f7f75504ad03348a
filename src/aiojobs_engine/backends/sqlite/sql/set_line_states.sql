-- Keeps what rates of lines have let through, and lets those be looked at. :rows [[line, state], ...].
INSERT INTO lines (line, again_at, state) SELECT value ->> 0, 0, value -> 1 FROM json_each(:rows) WHERE true
ON CONFLICT (line) DO UPDATE SET state = excluded.state, again_at = 0
