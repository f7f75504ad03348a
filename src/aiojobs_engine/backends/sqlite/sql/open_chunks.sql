-- Finds the chunks of the bulk job :parent that haven't ended, in order: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT seq FROM jobs
    WHERE parent = :parent AND status IN ('scheduled', 'waiting', 'pending', 'processing', 'paused', 'retrying')
    ORDER BY seq
)
