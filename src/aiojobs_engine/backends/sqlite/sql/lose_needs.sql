-- Notes which needs can't be met any more. :rows [[need, epoch of the one that waited], ...].
UPDATE needs
SET lost = told.epoch
FROM (SELECT value ->> 0 AS need, value ->> 1 AS epoch FROM json_each(:rows)) AS told
WHERE needs.need = told.need
