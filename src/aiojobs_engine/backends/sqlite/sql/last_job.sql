-- Reads the number of the job that was accepted last, 0 when there was none, and the version of the lanes.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0), (SELECT lanes_version FROM meta)
