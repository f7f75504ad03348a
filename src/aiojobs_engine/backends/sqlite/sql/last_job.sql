-- Reads the number of the job that was accepted last, 0 when there was none.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0)
