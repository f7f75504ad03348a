-- Finds what doesn't belong together: [[name, number, an example], ...].
SELECT json_group_array(json_array(name, number, example))
FROM (
    SELECT 'bodiless' AS name, count(*) AS number, min(id) AS example
    FROM jobs WHERE body IS NULL AND NOT EXISTS (SELECT 1 FROM bodies WHERE bodies.seq = jobs.seq)
    UNION ALL
    SELECT 'parentless', count(*), min(id)
    FROM jobs WHERE parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs AS above WHERE above.seq = jobs.parent)
    UNION ALL
    SELECT 'miscounted', count(*), min(id)
    FROM jobs
    WHERE status = 5
    AND open_chunks <> (SELECT count(*) FROM jobs AS chunk WHERE chunk.parent = jobs.seq AND chunk.status < 6)
    UNION ALL
    SELECT 'needy', count(*), min(id)
    FROM jobs
    WHERE status = 5 AND needs <> (SELECT count(*) FROM needs WHERE needs.dependent = jobs.seq)
    UNION ALL
    SELECT 'stuck', count(*), min(id) FROM jobs WHERE status = 5 AND open_chunks = 0 AND needs = 0
    UNION ALL
    SELECT 'counters', count(*), min(id)
    FROM jobs WHERE succeeded + failed > total OR min(succeeded, failed, skipped, attempts - crashes) < 0
    UNION ALL
    SELECT 'bodies', count(*), min(seq)
    FROM bodies WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = bodies.seq)
    UNION ALL
    SELECT 'tags', count(*), min(seq)
    FROM tags WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = tags.seq)
    UNION ALL
    SELECT 'failures', count(*), min(job)
    FROM failures WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = failures.job)
    UNION ALL
    SELECT 'needs', count(*), min(need)
    FROM needs
    WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = needs.dependent)
    OR NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = needs.job)
)
WHERE number > 0
