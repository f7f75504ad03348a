-- Keeps failed rows of a job, each try as one entry of the history. :rows [[row, key, payload, field,
-- message], ...].
INSERT INTO failures (job, row_number, row_key, payload, field, message, history)
SELECT
    :job, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
    json_array(json_array(:now, value ->> 4, value ->> 3, 0))
FROM json_each(:rows)
WHERE true
ON CONFLICT (job, row_number) DO UPDATE
SET row_key = excluded.row_key, payload = excluded.payload, field = excluded.field, message = excluded.message,
    history = json_insert(failures.history, '$[#]', json(excluded.history -> 0)), resolved = 0
