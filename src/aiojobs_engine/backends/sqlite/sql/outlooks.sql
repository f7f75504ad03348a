-- Reads what stands between the jobs :ids and their next step: [[id, ahead, lease left], ...]: of pending jobs how many
-- come before them in their lane, of running ones the ms until their lease ends, at :elapsed ms of the boot :boot.
SELECT json_group_array(json_array(
    jobs.id,
    CASE WHEN jobs.status = 2 THEN (
        SELECT count(*)
        FROM (
            SELECT priority, turn, seq FROM jobs AS open WHERE open.status = 2 AND open.held = 0 AND open.lane = jobs.lane
            UNION ALL
            SELECT priority, turn, seq FROM jobs AS back WHERE back.status = 2 AND back.held = 1 AND back.lane = jobs.lane
        ) AS other
        WHERE (-other.priority, coalesce(other.turn, other.seq * 1000), other.seq)
        < (-jobs.priority, coalesce(jobs.turn, jobs.seq * 1000), jobs.seq)
    ) END,
    CASE WHEN jobs.status = 4 THEN CASE WHEN boots.id = :boot THEN jobs.lease_until - :elapsed ELSE 0 END END
))
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value LEFT JOIN boots ON boots.boot = jobs.lease_boot
