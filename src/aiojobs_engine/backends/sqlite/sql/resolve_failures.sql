-- Marks failed rows of a job as resolved, once. :rows [row, ...].
UPDATE failures
SET resolved = 1, history = json_insert(history, '$[#]', json_array(:now, '', NULL, 1))
WHERE job = :job AND resolved = 0 AND row_number IN (SELECT value FROM json_each(:rows))
