-- Notes which jobs wait for which end of others. :rows [[job, dependent, whether, lost], ...].
INSERT INTO needs (job, dependent, whether, lost)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:rows)
