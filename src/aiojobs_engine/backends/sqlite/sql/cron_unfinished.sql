-- Finds the jobs of the history of the entries :names that have not ended: [[name, job id], ...].
SELECT json_group_array(json_array(cron_fires.name, jobs.id))
FROM (SELECT DISTINCT value AS wanted FROM json_each(:names))
CROSS JOIN cron_fires ON cron_fires.name = wanted
CROSS JOIN jobs ON jobs.id = cron_fires.job_id
WHERE jobs.status < 6
