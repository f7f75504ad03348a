-- Reads what the writer knows by heart: [version, [[lane, [queue, type, kind, v]], ...], [paused queue,
-- ...], [limit, ...]].
SELECT json_array(
    (SELECT lanes_version FROM meta),
    (SELECT json_group_array(json_array(lane, json_array(queue, type, kind, v))) FROM lanes),
    (SELECT json_group_array(name) FROM queues WHERE paused),
    (SELECT json_group_array(json(record)) FROM limits)
)
