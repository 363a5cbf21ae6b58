CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY,
    checksum BLOB NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
