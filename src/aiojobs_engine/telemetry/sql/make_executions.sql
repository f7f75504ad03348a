-- The table of runs, and what finds them by job, type and name.
CREATE TABLE IF NOT EXISTS executions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS executions_of_job ON executions (job_id, number);

CREATE INDEX IF NOT EXISTS executions_of_type ON executions (type, number);

CREATE INDEX IF NOT EXISTS executions_of_name ON executions (name, number);
