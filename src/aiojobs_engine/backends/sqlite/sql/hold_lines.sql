-- Holds back the pending jobs of all keys of the types :prefixes, [[first, after the last], ...], and so lets their
-- lines be looked at.
UPDATE jobs SET held = 1
WHERE seq IN (
    SELECT jobs.seq FROM json_each(:prefixes) CROSS JOIN jobs INDEXED BY jobs_lines
    ON jobs.line >= value ->> 0 AND jobs.line < value ->> 1
    WHERE jobs.line IS NOT NULL AND jobs.status = 2
)
