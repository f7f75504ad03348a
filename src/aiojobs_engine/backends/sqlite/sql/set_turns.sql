-- Gives jobs their turns. :rows [[seq, turn], ...].
UPDATE jobs SET turn = s.value ->> 1, untaken = NULL
FROM (SELECT value FROM json_each(:rows) LIMIT -1) AS s
WHERE jobs.seq = s.value ->> 0
