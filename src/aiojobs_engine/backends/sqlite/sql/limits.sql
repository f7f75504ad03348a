-- Reads all limits, as they were stored: [record, ...].
SELECT '[' || coalesce(group_concat(record), '') || ']' FROM limits
