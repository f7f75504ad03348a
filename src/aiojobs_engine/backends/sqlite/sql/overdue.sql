-- Counts leases that ended before :elapsed of the boot :boot or in another one, and jobs that were due before :now: [leases, jobs].
SELECT json_array(
    (
        SELECT count(*) FROM jobs JOIN boots ON boots.boot = jobs.lease_boot
        WHERE jobs.status = 4 AND (boots.id <> :boot OR jobs.lease_until < :elapsed)
    ),
    (SELECT count(*) FROM jobs WHERE status < 2 AND due_at < :now)
)
