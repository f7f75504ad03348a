-- unique_key: of a unique job its queue and key, `queue/key`; the newest job that has one holds it.
ALTER TABLE jobs ADD COLUMN unique_key TEXT;

CREATE INDEX jobs_unique ON jobs (unique_key, seq) WHERE unique_key IS NOT NULL;
