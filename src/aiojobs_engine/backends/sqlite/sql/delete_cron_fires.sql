-- Forgets the history of the entries :names.
DELETE FROM cron_fires WHERE name IN (SELECT value FROM json_each(:names))
