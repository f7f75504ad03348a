-- Reads how jobs stand by id: [[id, status, type, result, is it over, error], ...]; unknown ids are left out.
SELECT json_group_array(json_array(
    jobs.id, status, (SELECT type FROM lanes WHERE lanes.lane = jobs.lane), CAST(result AS TEXT),
    json(CASE WHEN result_until <= :now THEN 'true' ELSE 'false' END), error
))
FROM json_each(:ids) CROSS JOIN jobs ON jobs.id = value
