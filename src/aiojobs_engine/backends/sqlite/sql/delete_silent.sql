-- Forgets workers whose last word is older than :since.
DELETE FROM workers WHERE beat_at < :since
