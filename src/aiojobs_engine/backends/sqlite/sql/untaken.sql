-- Finds at most :limit pending jobs that have no fair turn yet, in order: [[seq, lane, priority, [key, weight]], ...].
SELECT json_group_array(json_array(seq, lane, priority, json(untaken)))
FROM (
    SELECT seq, lane, priority, untaken FROM jobs
    WHERE untaken IS NOT NULL AND status = 2
    ORDER BY seq
    LIMIT :limit
)
