-- Forgets the entries :names.
DELETE FROM crons WHERE name IN (SELECT value FROM json_each(:names))
