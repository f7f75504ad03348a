-- Reads what the rates of the lines :lines have let through: [[line, state], ...].
SELECT json_group_array(json_array(line, json(coalesce(state, '[]'))))
FROM lines WHERE line IN (SELECT value FROM json_each(:lines))
