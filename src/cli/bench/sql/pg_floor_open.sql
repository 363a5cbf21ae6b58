-- The columns of sidestream.records, and no index but the key.
DROP SCHEMA IF EXISTS sidestream_bench_floor CASCADE;
CREATE SCHEMA sidestream_bench_floor;
CREATE TABLE sidestream_bench_floor.records (
    partition int4 NOT NULL,
    position int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version int8 NOT NULL,
    recorded_at int8 NOT NULL,
    number_1 int8 NOT NULL,
    number_2 int8 NOT NULL,
    checksum int4 NOT NULL,
    kind int2 NOT NULL,
    schema int4 NOT NULL,
    is_effect bool NOT NULL,
    transaction uuid,
    key bytea NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    codec text COLLATE "C" NOT NULL,
    step text COLLATE "C",
    fingerprint bytea,
    requester bytea,
    payload bytea NOT NULL
);
