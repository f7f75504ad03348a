-- Reads the published job types by name: [record as text, ...].
SELECT json_group_array(record) FROM (SELECT record FROM types ORDER BY name)
