-- Moving a store: see store/transfer.

-- What the store is in a move. Without a row it is part of none.
CREATE TABLE copy (one INTEGER PRIMARY KEY CHECK (one = 1), mark INTEGER NOT NULL, place TEXT NOT NULL) STRICT;

-- In a copy under way: streams of which nothing is left, until a place is found for them in the log.
CREATE TABLE gone (stream TEXT PRIMARY KEY, partition INTEGER NOT NULL, head INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE INDEX gone_by_partition ON gone (partition, stream);
