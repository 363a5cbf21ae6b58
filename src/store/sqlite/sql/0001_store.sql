-- The first schema. A change of this file changes its checksum, and stores made before are then refused:
-- write 0002 instead.

-- One row: what the store is. writer_epoch counts the starts of writers and the ends of doubts.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id BLOB NOT NULL,
    partitions INTEGER NOT NULL,
    writer_epoch INTEGER NOT NULL,
    -- The indexes cover the log through this row; what follows is read again at a start.
    flushed_row INTEGER NOT NULL,
    -- Counts the changes of runs and flushed_row, for readers in other processes.
    index_changes INTEGER NOT NULL
) STRICT;

-- The log, in the order of commits. Everything below it but open_steps and streams is derived from it.
CREATE TABLE units (
    row INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    -- Of the unit's first record.
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    -- See body.rs.
    body BLOB NOT NULL
) STRICT;

-- As of flushed_row.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    head INTEGER NOT NULL,
    -- The last time that was stamped: the next one is not below it.
    time INTEGER NOT NULL
) STRICT;

-- The sorted runs of the index over streams: see index/run.rs.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    level INTEGER NOT NULL,
    -- The stretch of the log that it covers.
    first_row INTEGER NOT NULL,
    last_row INTEGER NOT NULL,
    -- Its blocks: entries, then its directory, then its filter.
    entry_blocks INTEGER NOT NULL,
    directory_blocks INTEGER NOT NULL,
    filter_blocks INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    -- The highest transaction id of its side streams, 16 bytes: a later version 7 id is not in it.
    newest BLOB NOT NULL
) STRICT;

CREATE TABLE blocks (
    -- run << 32 | number.
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- The units of each partition, and of each event type in it, in lists of a flush each: see index/places.rs.
CREATE TABLE lists (
    id INTEGER PRIMARY KEY,
    -- Empty for the partition's own list.
    type TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    first_row INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX lists_in_order ON lists (type, partition, first_position);

-- Only streams whose first records were removed.
CREATE TABLE streams (stream TEXT PRIMARY KEY, floor INTEGER NOT NULL) STRICT, WITHOUT ROWID;

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
