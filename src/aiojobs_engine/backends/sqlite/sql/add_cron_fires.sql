-- Stores history. :rows [[name, at, fired_at, outcome, job_id, missed_from,
-- waits_for], ...].
INSERT INTO cron_fires (name, at, fired_at, outcome, job_id, missed_from, waits_for)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM (SELECT value FROM json_each(:rows) LIMIT -1)
