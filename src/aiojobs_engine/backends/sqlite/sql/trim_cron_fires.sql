-- Keeps the newest :keep fires of each of the entries :names.
DELETE FROM cron_fires
WHERE seq IN (
    SELECT old.seq
    FROM (
        SELECT
            wanted.value AS name,
            (SELECT seq FROM cron_fires WHERE name = wanted.value ORDER BY seq DESC LIMIT 1 OFFSET :keep) AS newest
        FROM json_each(:names) AS wanted
    ) AS bound
    CROSS JOIN cron_fires AS old ON old.name = bound.name AND old.seq <= bound.newest
)
