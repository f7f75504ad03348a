-- Gives a boot of the machine a number, unless it has one.
INSERT INTO boots (id) VALUES (:name) ON CONFLICT DO NOTHING
