-- Stores the events of one write, packed.
INSERT INTO events (at, count, body) VALUES (:at, :count, :body)
