-- Stores events of one write, packed. Their instant is never before that of the row before, so that it can
-- be searched.
INSERT INTO events (at, count, body)
VALUES (max(:at, coalesce((SELECT at FROM events ORDER BY seq DESC LIMIT 1), 0)), :count, :body)
