-- Deletes the entries {entries}.
DELETE FROM {table} WHERE entry IN ({entries})
