-- line: of a job under limits by key, `queue/type/key`. held: 1 for a pending job that such a limit holds back. cost: what
-- it takes from rates. turn: its place among the keys of a fair queue, NULL for SPAN times its number. untaken: of a job that is
-- to have a fair turn when it becomes pending, [key, weight].
ALTER TABLE jobs ADD COLUMN line TEXT;
ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN cost INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN turn INTEGER;
ALTER TABLE jobs ADD COLUMN untaken TEXT;

DROP INDEX jobs_ready;

CREATE INDEX jobs_ready ON jobs (lane, priority DESC, coalesce(turn, seq * 1000), seq, expires_at, due_at)
WHERE status = 2 AND held = 0;

CREATE INDEX jobs_held ON jobs (lane, due_at) WHERE status = 2 AND held = 1;

CREATE INDEX jobs_lines ON jobs (line, status, held, priority DESC, coalesce(turn, seq * 1000), seq) WHERE line IS NOT NULL;

CREATE INDEX jobs_untaken ON jobs (seq) WHERE untaken IS NOT NULL AND status = 2;

CREATE TABLE limits (
    queue TEXT NOT NULL,
    type TEXT NOT NULL,
    by_key INTEGER NOT NULL,
    origin TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (queue, type, by_key, origin)
) STRICT, WITHOUT ROWID;

-- What the rates of queues and types have let through.
CREATE TABLE rates (queue TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (queue, type)) STRICT, WITHOUT ROWID;

-- The keys of which jobs are pending or running, or that a rate remembers. again_at: when to look which jobs may be
-- claimed; 0 after every change.
CREATE TABLE lines (line TEXT PRIMARY KEY, again_at INTEGER, state TEXT) STRICT, WITHOUT ROWID;

CREATE INDEX lines_again ON lines (again_at) WHERE again_at IS NOT NULL;

-- Statements that name `held` are those that bring jobs back among the pending ones, or take them out other than by
-- a claim or a plain end; these two tell themselves.
CREATE TRIGGER line_changed AFTER UPDATE OF held ON jobs WHEN NEW.line IS NOT NULL
BEGIN
    INSERT INTO lines (line, again_at) VALUES (NEW.line, 0) ON CONFLICT (line) DO UPDATE SET again_at = 0;
END;

CREATE TRIGGER line_shortened AFTER DELETE ON jobs WHEN OLD.line IS NOT NULL
BEGIN
    INSERT INTO lines (line, again_at) VALUES (OLD.line, 0) ON CONFLICT (line) DO UPDATE SET again_at = 0;
END;

-- The latest turn taken of each fair queue and priority, and where the last turn of each key ends.
CREATE TABLE turn_clocks (queue TEXT NOT NULL, priority INTEGER NOT NULL, clock INTEGER NOT NULL, PRIMARY KEY (queue, priority)) STRICT, WITHOUT ROWID;

CREATE TABLE turn_ends (queue TEXT NOT NULL, priority INTEGER NOT NULL, key TEXT NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (queue, priority, key)) STRICT, WITHOUT ROWID;
