-- Keeps what a worker says of itself; the newest wins.
INSERT INTO workers (id, beat_at, record) VALUES (:id, :beat_at, :record)
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, record = excluded.record
