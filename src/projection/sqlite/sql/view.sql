-- What a view knows of itself. The rows' own tables stand beside these.
CREATE TABLE sidestream_places (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    store BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    -- Raised by every opening and every commit.
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (projection, version, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE sidestream_parked (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    cardinal TEXT NOT NULL,
    position INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    since INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    PRIMARY KEY (projection, version, partition, cardinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE sidestream_audit (
    number INTEGER PRIMARY KEY,
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    action TEXT NOT NULL,
    cardinal TEXT NOT NULL,
    position INTEGER NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX sidestream_audit_of_place ON sidestream_audit (projection, version, partition, number);
