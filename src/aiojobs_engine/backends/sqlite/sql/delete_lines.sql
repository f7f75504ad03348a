-- Forgets the lines :lines.
DELETE FROM lines WHERE line IN (SELECT value FROM json_each(:lines))
