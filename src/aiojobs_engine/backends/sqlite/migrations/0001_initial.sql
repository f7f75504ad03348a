-- The tables of the first release. `seq` is the order in which jobs were accepted and is never given twice.
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    lanes_version INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO meta (only) VALUES (1);

-- A lane holds the jobs of one queue, type, kind and envelope version, so that a claim leaves the rest out unseen.
CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    type TEXT NOT NULL,
    kind TEXT NOT NULL,
    v INTEGER NOT NULL,
    UNIQUE (queue, type, kind, v)
) STRICT;

-- Queues that were ever paused.
CREATE TABLE queues (name TEXT PRIMARY KEY, paused INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- A job's status is kept as a number: every change is held against the conditions of ten indexes, which takes three
-- times as long with words. Queued jobs are below 4, final ones above 5.
CREATE TABLE statuses (status INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

INSERT INTO statuses (status, name) VALUES
(0, 'scheduled'), (1, 'retrying'), (2, 'pending'), (3, 'paused'), (4, 'processing'), (5, 'waiting'),
(6, 'completed'), (7, 'partial'), (8, 'failed'), (9, 'cancelled'), (10, 'discarded'), (11, 'expired');

CREATE TABLE boots (boot INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;

-- ahead: 1 for a job that its worker claimed before it had a slot for it, until it runs.
-- due_at: since when the job is due, or will be. lease_until: ms of the boot `lease_boot`. chunks: how many a bulk job
-- has; open_chunks: how many of them may still settle. kept_*: the counters of the last checkpoint. body is NULL when
-- the envelope is large and stands in `bodies`.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    lane INTEGER NOT NULL REFERENCES lanes (lane),
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 11),
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    scheduled_at INTEGER,
    expires_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    token INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    lease_boot INTEGER,
    lease_until INTEGER,
    worker TEXT,
    ahead INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0,
    pausing INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    kept_succeeded INTEGER NOT NULL DEFAULT 0,
    kept_failed INTEGER NOT NULL DEFAULT 0,
    kept_skipped INTEGER NOT NULL DEFAULT 0,
    parent INTEGER,
    reopened INTEGER NOT NULL DEFAULT 0,
    chunks INTEGER NOT NULL DEFAULT 0,
    open_chunks INTEGER NOT NULL DEFAULT 0,
    progress_at INTEGER,
    result_until INTEGER,
    user_id ANY,
    message TEXT,
    error TEXT,
    cursor BLOB,
    result BLOB,
    body BLOB,
    CHECK ((status = 4) = (lease_until IS NOT NULL)),
    CHECK ((status > 5) = (finished_at IS NOT NULL))
) STRICT;

CREATE INDEX jobs_ready ON jobs (lane, priority DESC, seq, expires_at, due_at) WHERE status = 2;

CREATE INDEX jobs_due ON jobs (due_at, seq, status, lane) WHERE status < 2;

CREATE INDEX jobs_leased ON jobs (lease_boot, lease_until, seq, lane) WHERE status = 4;

CREATE INDEX jobs_parked ON jobs (status, lane) WHERE status IN (3, 5);

CREATE INDEX jobs_final ON jobs (status, lane, finished_at, seq) WHERE finished_at IS NOT NULL AND parent IS NULL;

CREATE INDEX jobs_ended_badly ON jobs (seq) WHERE status > 6;

CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL AND status < 4;

CREATE INDEX jobs_results ON jobs (result_until) WHERE result_until IS NOT NULL AND result IS NOT NULL;

CREATE INDEX jobs_chunks ON jobs (parent, status, lane) WHERE parent IS NOT NULL;

CREATE INDEX jobs_users ON jobs (CAST(user_id AS TEXT), seq) WHERE user_id IS NOT NULL;

CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

CREATE TABLE tags (tag TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, seq)) STRICT, WITHOUT ROWID;

CREATE INDEX tags_seq ON tags (seq);

CREATE TABLE failures (
    job INTEGER NOT NULL,
    row_number INTEGER NOT NULL,
    row_key TEXT,
    payload TEXT NOT NULL,
    field TEXT,
    message TEXT NOT NULL,
    history TEXT NOT NULL,
    resolved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, row_number)
) STRICT, WITHOUT ROWID;

-- Up to 256 events of one write per row, packed in `body`. `at` is the latest instant of all events so far.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX events_at ON events (at, seq);

CREATE TABLE workers (id TEXT PRIMARY KEY, beat_at INTEGER NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE types (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
