-- Reads what stands between the jobs :ids and their next step: [[id, ahead, lease left], ...]: of pending jobs how many
-- come before them in their lane, of running ones the ms until their lease ends, at :elapsed ms of the boot :boot.
SELECT json_group_array(json_array(
    jobs.id,
    CASE WHEN jobs.status = 2 THEN (
        SELECT count(*) FROM jobs AS other
        WHERE other.status = 2 AND other.lane = jobs.lane
        AND (other.priority > jobs.priority OR (other.priority = jobs.priority AND other.seq < jobs.seq))
    ) END,
    CASE WHEN jobs.status = 4 THEN CASE WHEN boots.id = :boot THEN jobs.lease_until - :elapsed ELSE 0 END END
))
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value LEFT JOIN boots ON boots.boot = jobs.lease_boot
