-- Reads what rates have let through: [[queue, type, state], ...].
SELECT json_group_array(json_array(queue, type, json(state))) FROM rates
