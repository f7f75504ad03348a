-- Removes limits. :rows [[queue, type, by_key, origin], ...].
DELETE FROM limits
WHERE (queue, type, by_key, origin) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:rows)
)
