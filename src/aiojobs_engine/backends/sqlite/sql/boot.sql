-- Reads the number of a boot of the machine.
SELECT boot FROM boots WHERE id = :name
