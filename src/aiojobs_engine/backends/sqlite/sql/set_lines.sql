-- Notes when lines are to be looked at again. :rows [[line, again_at], ...].
UPDATE lines SET again_at = s.value ->> 1
FROM (SELECT value FROM json_each(:rows) LIMIT -1) AS s
WHERE lines.line = s.value ->> 0
