-- Notes which jobs wait for which end of others. :rows [[job, dependent, whether], ...].
INSERT INTO needs (job, dependent, whether)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:rows)
