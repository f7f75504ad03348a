-- Whether a job fits all that is looked for; NULL looks for nothing.
    AND (:status IS NULL OR jobs.status IN (SELECT value FROM json_each(:status)))
    AND (
        (:type IS NULL AND :kind IS NULL AND :queue IS NULL)
        OR lane IN (
            SELECT lane FROM lanes
            WHERE (:type IS NULL OR type = :type) AND (:kind IS NULL OR kind = :kind)
            AND (:queue IS NULL OR queue = :queue)
        )
    )
    AND (:user IS NULL OR CAST(user_id AS TEXT) = :user)
    AND (:parent IS NULL OR parent = (SELECT seq FROM jobs WHERE id = :parent))
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tags WHERE tags.tag = :tag AND tags.seq = jobs.seq))
    AND (:reason IS NULL OR error ->> '$.reason' = :reason)
    AND (NOT :dead OR (jobs.status = 8 AND chunks = 0))
