-- Notes that the entries :names were announced.
UPDATE crons SET seen_at = :now WHERE name IN (SELECT value FROM json_each(:names))
