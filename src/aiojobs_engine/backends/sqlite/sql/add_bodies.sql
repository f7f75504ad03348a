-- Stores large bodies of jobs that were accepted after :last. :rows [[id, start, length], ...] in :bodies.
INSERT INTO bodies (seq, body)
SELECT jobs.seq, substr(:bodies, value ->> 1, value ->> 2)
FROM json_each(:rows) CROSS JOIN jobs ON jobs.id = value ->> 0
WHERE jobs.seq > :last
