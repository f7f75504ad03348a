-- Reads the bodies of jobs by id: [[id, accepted after :last, body], ...]; unknown ids are left out.
SELECT json_group_array(
    json_array(
        jobs.id, json(CASE WHEN jobs.seq > :last THEN 'true' ELSE 'false' END),
        CAST(coalesce(jobs.body, bodies.body) AS TEXT)
    )
)
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value LEFT JOIN bodies ON bodies.seq = jobs.seq
