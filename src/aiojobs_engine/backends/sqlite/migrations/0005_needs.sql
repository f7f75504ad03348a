-- Jobs that wait for others. needs: how many jobs have to end before this one is claimable; needed: how many needs of
-- other jobs this one may still answer. The members of a batch have it as their `parent`.
ALTER TABLE jobs ADD COLUMN needs INTEGER NOT NULL DEFAULT 0;

ALTER TABLE jobs ADD COLUMN needed INTEGER NOT NULL DEFAULT 0;

-- `dependent` waits for an end of `job`; the row goes when it is known whether that came about.
CREATE TABLE needs (
    need INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    dependent INTEGER NOT NULL,
    whether TEXT NOT NULL
) STRICT;

CREATE INDEX needs_job ON needs (job);

CREATE INDEX needs_dependent ON needs (dependent);
