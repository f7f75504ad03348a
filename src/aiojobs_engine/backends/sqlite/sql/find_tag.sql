-- Finds at most :limit jobs accepted before :before, the last one first, by the index of tags: [seq, ...].
SELECT json_group_array(seq)
FROM (
    SELECT jobs.seq
    FROM tags AS tagged CROSS JOIN jobs ON jobs.seq = tagged.seq
    WHERE tagged.tag = :tag AND tagged.seq < :before
    --: fits
    ORDER BY tagged.seq DESC
    LIMIT :limit
)
