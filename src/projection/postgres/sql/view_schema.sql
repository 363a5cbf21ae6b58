-- Several at once wait for each other from the first statement on: two that both find no schema would both make it.
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtextextended('sidestream_view.migrations', 0)); END $$;
CREATE SCHEMA IF NOT EXISTS sidestream_view;
CREATE TABLE IF NOT EXISTS sidestream_view.migrations (
    step int8 PRIMARY KEY,
    checksum bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
LOCK TABLE sidestream_view.migrations IN ACCESS EXCLUSIVE MODE;
