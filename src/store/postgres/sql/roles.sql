-- Group roles: grant them to the users that log in. What they had before is taken away first, so that they have no
-- more than stands here.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sidestream_reader', 'sidestream_writer', 'sidestream_compactor'] LOOP
        CONTINUE WHEN EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname = name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            -- Somebody made it meanwhile, for another database of this server.
            NULL;
        END;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA sidestream FROM PUBLIC, sidestream_reader, sidestream_writer, sidestream_compactor;
REVOKE ALL ON ALL TABLES IN SCHEMA sidestream
    FROM PUBLIC, sidestream_reader, sidestream_writer, sidestream_compactor;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sidestream
    FROM PUBLIC, sidestream_reader, sidestream_writer, sidestream_compactor;

GRANT USAGE ON SCHEMA sidestream TO sidestream_reader, sidestream_writer, sidestream_compactor;

GRANT SELECT ON ALL TABLES IN SCHEMA sidestream TO sidestream_reader, sidestream_writer;
GRANT EXECUTE ON FUNCTION sidestream.now_micros, sidestream.read_streams, sidestream.read_side_streams,
    sidestream.side_stream TO sidestream_reader;

-- It adds to the log, and can neither change nor remove what is there.
GRANT INSERT ON sidestream.records TO sidestream_writer;
GRANT INSERT, UPDATE, DELETE ON sidestream.open_steps TO sidestream_writer;
GRANT UPDATE ON sidestream.partitions TO sidestream_writer;
GRANT INSERT, UPDATE, DELETE ON sidestream.guarded_rows TO sidestream_writer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sidestream TO sidestream_writer;
REVOKE EXECUTE ON FUNCTION sidestream.truncate, sidestream.truncate_side FROM sidestream_writer;

GRANT sidestream_writer TO sidestream_compactor;
GRANT DELETE ON sidestream.records TO sidestream_compactor;
-- Where a row has records of two streams, those of one can go. The rest of a record cannot be changed.
GRANT UPDATE (key, kind, is_effect, payload, requester, side_key, side_version, request_number, request_checksum,
    request_schema, request_codec, request, outcome_checksum, outcome_schema, outcome_codec, outcome)
    ON sidestream.records TO sidestream_compactor;
GRANT INSERT, UPDATE ON sidestream.floors TO sidestream_compactor;
GRANT EXECUTE ON FUNCTION sidestream.truncate, sidestream.truncate_side TO sidestream_compactor;
