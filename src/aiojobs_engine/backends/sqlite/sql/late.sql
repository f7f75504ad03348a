-- Finds at most :limit queued jobs that are past their time, those that expired first: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT seq FROM jobs
    WHERE expires_at IS NOT NULL AND expires_at <= :now AND status < 4
    ORDER BY expires_at, seq
    LIMIT :limit
)
