-- Where durable listeners go on in the stream, and which of their followers may. The lease is in ms of the boot.
CREATE TABLE places (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    lease_boot INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    cursor TEXT
) STRICT, WITHOUT ROWID;
