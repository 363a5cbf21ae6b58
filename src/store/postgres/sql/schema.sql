CREATE SCHEMA IF NOT EXISTS sidestream;
CREATE TABLE IF NOT EXISTS sidestream.migrations (
    step int8 PRIMARY KEY,
    checksum bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
LOCK TABLE sidestream.migrations IN ACCESS EXCLUSIVE MODE;
