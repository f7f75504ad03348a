-- Lets the entries :names fire or not, where that is a change; those that fire again are settled up to now.
UPDATE crons
SET enabled = :enabled, settled_to = max(settled_to, :now * :enabled)
WHERE name IN (SELECT value FROM json_each(:names)) AND enabled <> :enabled
