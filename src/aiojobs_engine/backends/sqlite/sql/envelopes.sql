-- Reads what was dispatched under the ids :ids: [[id, body], ...]; unknown ids are left out.
SELECT json_group_array(json_array(jobs.id, CAST(coalesce(jobs.body, bodies.body) AS TEXT)))
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value LEFT JOIN bodies ON bodies.seq = jobs.seq
