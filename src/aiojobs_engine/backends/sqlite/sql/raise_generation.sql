-- Counts one more use of the database, before and after it.
UPDATE meta SET generation = generation + 1 RETURNING generation
