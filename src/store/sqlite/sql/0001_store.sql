-- The first schema. A change of this file changes its checksum, and stores made before are then refused:
-- write 0002 instead.

-- One row: what the store is. writer_epoch counts the starts of writers and the ends of doubts.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id BLOB NOT NULL,
    partitions INTEGER NOT NULL,
    writer_epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    head INTEGER NOT NULL,
    -- The last time that was stamped: the next one is not below it.
    time INTEGER NOT NULL
) STRICT;

CREATE TABLE types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE codecs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE records (
    -- partition << 48 | position: the row id is the log's own order, and needs no index.
    place INTEGER PRIMARY KEY,
    -- 0, name; or, for side streams, 1, the 16 bytes of the transaction, and the name without it.
    stream BLOB NOT NULL,
    version INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    -- The kind's numbers, NULL where they are zero.
    first_number INTEGER,
    second_number INTEGER,
    type INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    -- NULL where the stream's key tells it, and where there is no step.
    transaction_id BLOB,
    step TEXT,
    fingerprint BLOB,
    requester TEXT,
    recorded_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX records_by_stream ON records (stream, version);

-- The row id comes last in every index: this one is (type, partition, position).
CREATE INDEX records_by_type ON records (type);

CREATE INDEX snapshots ON records (stream, version) WHERE kind = 4;

-- Only streams whose first records were removed.
CREATE TABLE streams (stream BLOB PRIMARY KEY, floor INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE open_steps (
    stream TEXT PRIMARY KEY,
    partition INTEGER NOT NULL,
    category TEXT NOT NULL,
    transaction_id BLOB NOT NULL,
    step TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    aggregate_version INTEGER NOT NULL,
    scanned_to INTEGER NOT NULL,
    resumed INTEGER NOT NULL,
    requested_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX open_steps_by_age ON open_steps (partition, category, touched_at, stream);
