-- Guarded rows: see store/rows.rs.
CREATE TABLE guarded_rows (
    partition INTEGER NOT NULL,
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- NULL: the row was removed. Its numbers are never used again.
    value BLOB,
    PRIMARY KEY (partition, space, key)
) STRICT, WITHOUT ROWID;

-- Partitions that were closed at a time: the next stamp is not below this one. See store/closing.rs.
CREATE TABLE closed (partition INTEGER PRIMARY KEY, least INTEGER NOT NULL) STRICT;
