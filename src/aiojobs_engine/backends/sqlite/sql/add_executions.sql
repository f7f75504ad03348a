-- Stores runs that are not there yet. :rows [[job, token, type, cron, ended_at, record], ...].
INSERT OR IGNORE INTO executions (job, token, type, cron, ended_at, record)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value -> 5
FROM json_each(:rows)
