-- Finds the row before which no event of :at or later stands, NULL when there is no such event.
SELECT min(seq) FROM events WHERE at >= :at
