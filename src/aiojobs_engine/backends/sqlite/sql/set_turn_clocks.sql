-- Moves clocks forward. :rows [[queue, priority, clock], ...].
INSERT INTO turn_clocks (queue, priority, clock)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:rows) WHERE true
ON CONFLICT (queue, priority) DO UPDATE SET clock = max(clock, excluded.clock)
