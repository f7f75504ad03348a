-- Reads the clocks of the queues :queues, [[queue, priority], ...]: [[queue, priority, clock], ...].
SELECT json_group_array(json_array(queue, priority, clock))
FROM turn_clocks
WHERE (queue, priority) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:queues))
