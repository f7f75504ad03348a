-- The log of executions, which outlives the jobs: a row per run. cron: the name of the entry that stored the job.
CREATE TABLE executions (
    number INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    token INTEGER NOT NULL,
    type TEXT NOT NULL,
    cron TEXT,
    ended_at INTEGER NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (job, ended_at, token)
) STRICT;

CREATE INDEX executions_ended ON executions (ended_at);

CREATE INDEX executions_type ON executions (type, ended_at);

CREATE INDEX executions_cron ON executions (cron, ended_at) WHERE cron IS NOT NULL;
