-- Reads how the entries :names stand: [[name, revision, is_code, overlap, enabled, settled_to, seen_at], ...].
SELECT json_group_array(json_array(name, revision, is_code, overlap, enabled, settled_to, seen_at))
FROM (SELECT DISTINCT value AS wanted FROM json_each(:names)) CROSS JOIN crons ON crons.name = wanted
