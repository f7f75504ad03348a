-- Reads where the last turns of keys end. :keys [[queue, priority, key], ...]: [[queue, priority, key, end], ...].
SELECT json_group_array(json_array(queue, priority, key, ends))
FROM turn_ends
WHERE (queue, priority, key) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:keys))
