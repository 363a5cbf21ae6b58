-- Of a place that a join fills: its positions, as JSON.
CREATE TABLE sidestream_view.joins (
    projection text COLLATE "C" NOT NULL,
    version int4 NOT NULL,
    partition int4 NOT NULL,
    positions text NOT NULL,
    PRIMARY KEY (projection, version, partition)
) WITH (fillfactor = 50);
