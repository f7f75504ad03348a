-- Finds rows that point at rows which are not there: [[table, number, target], ...].
SELECT json_group_array(json_array("table", number, parent))
FROM (SELECT "table", count(*) AS number, parent FROM pragma_foreign_key_check GROUP BY "table", parent)
