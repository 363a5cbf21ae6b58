-- What a view knows of itself. The rows' own tables stand in schemas of their own.

-- One projection in one partition.
CREATE TABLE sidestream_view.places (
    projection text COLLATE "C" NOT NULL,
    version int4 NOT NULL,
    partition int4 NOT NULL,
    store uuid NOT NULL,
    epoch int8 NOT NULL,
    -- Raised by every opening and every commit.
    revision int8 NOT NULL,
    position int8 NOT NULL,
    changed_at int8 NOT NULL,
    PRIMARY KEY (projection, version, partition)
) WITH (fillfactor = 50);

CREATE TABLE sidestream_view.parked (
    projection text COLLATE "C" NOT NULL,
    version int4 NOT NULL,
    partition int4 NOT NULL,
    cardinal text COLLATE "C" NOT NULL,
    position int8 NOT NULL,
    event_type text NOT NULL,
    error text NOT NULL,
    attempts int8 NOT NULL,
    since int8 NOT NULL,
    waiting int8 NOT NULL,
    PRIMARY KEY (projection, version, partition, cardinal)
);

CREATE TABLE sidestream_view.audit (
    number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text COLLATE "C" NOT NULL,
    version int4 NOT NULL,
    partition int4 NOT NULL,
    action text NOT NULL,
    cardinal text NOT NULL,
    position int8 NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    at int8 NOT NULL
);

CREATE INDEX audit_of_place ON sidestream_view.audit (projection, version, partition, number);

-- What holds for a transaction of the view: it is durable, and on a quorum where one is demanded; and neither a lock nor
-- a runner that sleeps keeps the others waiting for ever.
CREATE FUNCTION sidestream_view.begin(in_quorum bool, in_idle_ms int8) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF in_quorum AND current_setting('synchronous_standby_names') = '' THEN
        RAISE EXCEPTION 'synchronous_standby_names is empty' USING ERRCODE = 'SS001';
    END IF;
    PERFORM set_config('idle_in_transaction_session_timeout', in_idle_ms::text, true),
        set_config('lock_timeout', '10s', true);
END $$;
