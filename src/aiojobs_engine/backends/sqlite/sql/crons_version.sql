-- Reads the number that changes with the entries.
SELECT crons_version FROM meta
