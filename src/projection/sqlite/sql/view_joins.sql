-- Of a place that a join fills: its positions, as JSON.
CREATE TABLE IF NOT EXISTS sidestream_joins (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    positions TEXT NOT NULL,
    PRIMARY KEY (projection, version, partition)
) STRICT, WITHOUT ROWID;
