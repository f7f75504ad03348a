-- Reads the oldest entries that were not set aside.
SELECT entry, body FROM {table} WHERE fault IS NULL ORDER BY entry LIMIT {limit}
