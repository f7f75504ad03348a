-- Makes the table of an outbox; {key} is what numbers entries in the dialect.
CREATE TABLE {table} (
    entry {key}, job_id VARCHAR(128) NOT NULL UNIQUE, body TEXT NOT NULL, fault TEXT
)
