-- Reads the workers that are known: [record as text, ...].
SELECT json_group_array(record) FROM workers
