-- Tells every scheduler to read the entries anew.
UPDATE meta SET crons_version = crons_version + 1
