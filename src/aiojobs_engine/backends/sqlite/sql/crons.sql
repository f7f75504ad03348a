-- Reads all entries by name, each with the newest of its history:
-- [[record, revision, enabled, settled_to, seen_at,
--   null or [at, fired_at, outcome, job_id, missed_from, waits_for]], ...].
SELECT json_group_array(json_array(record, revision, enabled, settled_to, seen_at, json(last)))
FROM (
    SELECT
        record, revision, enabled, settled_to, seen_at,
        (
            SELECT json_array(at, fired_at, outcome, job_id, missed_from, waits_for)
            FROM cron_fires
            WHERE cron_fires.name = crons.name
            ORDER BY seq DESC
            LIMIT 1
        ) AS last
    FROM crons
    ORDER BY name
)
