-- Finds at most :limit leases that ran out, those of other boots first, the others by their end: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT seq
    FROM (
        SELECT seq, 0 AS ended, 0 AS lease_until FROM jobs WHERE status = 4 AND lease_boot < :boot
        UNION ALL
        SELECT seq, 0, 0 FROM jobs WHERE status = 4 AND lease_boot > :boot
        UNION ALL
        SELECT seq, 1, lease_until FROM jobs WHERE status = 4 AND lease_boot = :boot AND lease_until <= :elapsed
    )
    ORDER BY ended, lease_until, seq
    LIMIT :limit
)
