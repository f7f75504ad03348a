-- Deletes the needs :needs.
DELETE FROM needs WHERE need IN (SELECT value FROM json_each(:needs))
