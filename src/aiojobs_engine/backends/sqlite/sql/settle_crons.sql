-- Moves entries on. :rows [[name, settled_to], ...].
UPDATE crons
SET settled_to = fired.until
FROM (SELECT value ->> 0 AS name, value ->> 1 AS until FROM json_each(:rows)) AS fired
WHERE crons.name = fired.name
