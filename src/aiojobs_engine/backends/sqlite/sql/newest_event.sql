-- Reads where the newest event stands: its row, and its place in it, 0 based; [0, 0] when there never was
-- one.
SELECT coalesce((SELECT json_array(seq, count - 1) FROM events ORDER BY seq DESC LIMIT 1), json_array(0, 0))
