-- Counts the tables of the database: none in a new one.
SELECT count(*) FROM sqlite_schema
