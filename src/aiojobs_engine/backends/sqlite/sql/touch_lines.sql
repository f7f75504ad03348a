-- Lets the lines :lines be looked at.
INSERT INTO lines (line, again_at) SELECT value, 0 FROM json_each(:lines) WHERE true
ON CONFLICT (line) DO UPDATE SET again_at = 0
