-- Stores a row, in place of the one with the same keys. The names are filled in, checked and quoted.
INSERT INTO {table} ({columns}) VALUES ({marks})
ON CONFLICT ({keys}) DO {change}
