-- Cron entries and the newest fires of each. Every instant up to `settled_to` has been fired or passed over.
CREATE TABLE crons (
    name TEXT PRIMARY KEY,
    revision TEXT NOT NULL,
    is_code INTEGER NOT NULL,
    overlap TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    settled_to INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cron_fires (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    fired_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    job_id TEXT,
    missed_from INTEGER
) STRICT;

CREATE INDEX cron_fires_of ON cron_fires (name, seq);

ALTER TABLE meta ADD COLUMN crons_version INTEGER NOT NULL DEFAULT 0;
