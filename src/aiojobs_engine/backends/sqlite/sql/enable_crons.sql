-- Lets the entries :names fire or not, where that is a change; those that fire again are settled up to now.
UPDATE crons
SET enabled = :enabled, settled_to = iif(:enabled, max(settled_to, :now), settled_to)
WHERE name IN (SELECT value FROM json_each(:names)) AND enabled <> :enabled
