-- Reads where the place :name is.
SELECT cursor FROM places WHERE name = :name
