-- Finds the chunks of the bulk job :parent that haven't ended, in order: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT seq FROM jobs
    WHERE parent = :parent AND status < 6
    ORDER BY seq
)
