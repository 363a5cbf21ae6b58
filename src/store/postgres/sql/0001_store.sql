-- The log. A partition is the first column of every key, so that the tables can be distributed by it.

CREATE TABLE sidestream.meta (
    key text PRIMARY KEY,
    value text NOT NULL
);

-- One row a partition: the lock that every append takes first and holds to its commit. So positions are handed out
-- in commit order, without gaps, and times never go back. The filler gives each row a page of its own: writers of
-- different partitions then never wait for one page, nor look through each other's row versions.
CREATE TABLE sidestream.partitions (
    partition int4 PRIMARY KEY,
    position int8 NOT NULL,
    recorded_at int8 NOT NULL,
    -- What the store is in a move: 0 part of none, 1 copied and in use, 2 moved away, 3 a copy under way. It stands
    -- here because whoever writes has locked this row.
    mark int2 NOT NULL DEFAULT 0,
    filler text NOT NULL DEFAULT repeat('.', 1000)
) WITH (fillfactor = 10);
ALTER TABLE sidestream.partitions ALTER COLUMN filler SET STORAGE PLAIN;

-- Times are microseconds since 1970. The two numbers are those of the kind. A row holds a record. The request and the
-- acceptance of a step that follow the last record of its effect, as they do where one unit decided and settled it, stand
-- in that record's row: `outcome` is there where they are, and in the log they have the next two positions. Whoever looks
-- for records by SQL finds each by itself in the view sidestream.log.
CREATE TABLE sidestream.records (
    partition int4 NOT NULL,
    position int8 NOT NULL,
    version int8 NOT NULL,
    recorded_at int8 NOT NULL,
    number_1 int8 NOT NULL,
    number_2 int8 NOT NULL,
    -- Of the side stream that the row has records of: the version of the first.
    side_version int8,
    -- The aggregate's version in the request.
    request_number int8,
    checksum int4 NOT NULL,
    request_checksum int4,
    outcome_checksum int4,
    schema int4 NOT NULL,
    request_schema int4,
    outcome_schema int4,
    -- 0 where the record was removed, and the request and the acceptance were not.
    kind int2 NOT NULL,
    is_effect bool NOT NULL,
    transaction uuid,
    -- The record's stream, unless that is a side stream. `stream` is its name in any case.
    key bytea,
    -- The side stream that the row has records of. Its key begins with the transaction, so that time-ordered ids lie next
    -- to each other in the index.
    side_key bytea,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    codec text COLLATE "C" NOT NULL,
    step text COLLATE "C",
    fingerprint bytea,
    -- The request's, where the row holds one besides its record.
    requester bytea,
    payload bytea NOT NULL,
    request_codec text COLLATE "C",
    request bytea,
    outcome_codec text COLLATE "C",
    outcome bytea,
    CONSTRAINT records_position PRIMARY KEY (partition, position)
);

-- A new store has no statistics, and to a planner without them each index of a partition is as good as any other: one
-- unlucky plan then reads a partition for a record, and is kept until somebody analyses the table. So each query can be
-- served by one index only. Functions that look streams up forbid sorts, which leaves the index that has their order;
-- the two indexes for types and snapshots are over an expression that only their own queries name.
CREATE UNIQUE INDEX records_version ON sidestream.records (partition, key, version) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX records_side_version ON sidestream.records (partition, side_key, side_version)
    WHERE side_key IS NOT NULL;
-- The second wall behind the expected versions: a step takes effect in a stream at most once.
CREATE UNIQUE INDEX records_effect ON sidestream.records (partition, transaction, step, key) WHERE is_effect;
CREATE INDEX records_type ON sidestream.records ((partition + 0), type, position) WHERE kind IN (1, 11);
CREATE INDEX records_snapshot ON sidestream.records ((partition + 0), (coalesce(key, side_key)), version)
    WHERE kind = 4;

-- The name of the side stream that a transaction has beside an aggregate's stream.
CREATE FUNCTION sidestream.side_stream(stream text, transaction uuid) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT overlay(stream PLACING 'Transaction-' FROM strpos(stream, '-') FOR 1) || '+' || transaction $$;

-- The log for people: a line a record.
CREATE VIEW sidestream.log AS
SELECT r.partition, r.position, r.recorded_at, r.stream, r.version, r.kind, r.type, r.schema, r.codec, r.transaction,
    r.step, r.fingerprint, CASE WHEN r.outcome IS NULL THEN r.requester END AS requester, r.number_1, r.number_2,
    coalesce(r.key, r.side_key) AS key, r.is_effect, r.checksum, r.payload
FROM sidestream.records r WHERE r.kind > 0
UNION ALL
SELECT r.partition, r.position + 1, r.recorded_at, sidestream.side_stream(r.stream, r.transaction), r.side_version,
    5::int2, '$requested', r.request_schema, r.request_codec, r.transaction,
    r.step, r.fingerprint, r.requester, r.request_number, 0::int8,
    r.side_key, false, r.request_checksum, r.request
FROM sidestream.records r WHERE r.outcome IS NOT NULL
UNION ALL
SELECT r.partition, r.position + 2, r.recorded_at, sidestream.side_stream(r.stream, r.transaction), r.side_version + 1,
    7::int2, '$accepted', r.outcome_schema, r.outcome_codec, r.transaction,
    r.step, r.fingerprint, NULL, r.version, 2::int8,
    r.side_key, false, r.outcome_checksum, r.outcome
FROM sidestream.records r WHERE r.outcome IS NOT NULL;

-- Streams of which the beginning was removed.
CREATE TABLE sidestream.floors (
    partition int4 NOT NULL,
    key bytea NOT NULL,
    floor int8 NOT NULL,
    stream text COLLATE "C" NOT NULL,
    PRIMARY KEY (partition, key)
);

CREATE INDEX floors_stream ON sidestream.floors (stream);

CREATE TABLE sidestream.open_steps (
    partition int4 NOT NULL,
    key bytea NOT NULL,
    stream text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    transaction uuid NOT NULL,
    step text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    aggregate_version int8 NOT NULL,
    scanned_to int8 NOT NULL,
    resumed int4 NOT NULL,
    requested_at int8 NOT NULL,
    touched_at int8 NOT NULL,
    PRIMARY KEY (partition, key)
);

CREATE INDEX open_steps_touched ON sidestream.open_steps ((partition + 0), category, touched_at, stream);

CREATE FUNCTION sidestream.now_micros() RETURNS int8 LANGUAGE sql VOLATILE
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8 $$;

-- Refuses what a move forbids, and says where the store went.
CREATE FUNCTION sidestream.refuse_mark(in_mark int2) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE EXCEPTION '%', coalesce((SELECT m.value FROM sidestream.meta m WHERE m.key = 'move'), 'another place')
        USING ERRCODE = 'SS1' || lpad(in_mark::text, 2, '0');
END $$;

-- Appends to some partitions, in rising order, what is demanded to be true of streams (their keys, and the versions that
-- they are at), whole or not at all: where some are elsewhere, nothing is written, and it is told which, and where they
-- are. Stream k lies in the partition `partitions[of_partition[k]]`. Those of `known` are looked up; the others are to get
-- their first record, and should they be there, the unique index refuses it, and with it the append. Row i belongs to the
-- stream `of_stream[i]`, and lies so many `places` behind the records before; those of a partition are `counts`. It has
-- records of the side stream `side_of[i]`: its own where that is its stream, else the request and the outcome `pairs[i]`. A
-- partition that somebody keeps locked is not waited for long: those before it are locked meanwhile, and the connection
-- is wanted.
CREATE FUNCTION sidestream.append(
    partitions int4[], counts int8[], in_quorum bool,
    of_partition int4[], keys bytea[], names text[], heads int8[], known int4[],
    of_stream int4[], places int8[], versions int8[], side_of int4[], side_versions int8[], pairs int4[],
    numbers_1 int8[], numbers_2 int8[], checksums int4[], kinds int2[],
    schemas int4[], effects bool[], transactions uuid[], types text[], codecs text[], steps text[],
    fingerprints bytea[], requesters bytea[], payloads bytea[],
    request_numbers int8[], request_checksums int4[], request_schemas int4[], request_codecs text[], requests bytea[],
    outcome_checksums int4[], outcome_schemas int4[], outcome_codecs text[], outcomes bytea[],
    OUT bases int8[], OUT times int8[], OUT elsewhere int4[], OUT stands int8[]
) LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_sort = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET lock_timeout = '50ms' AS $$
DECLARE
    worst_mark int2;
BEGIN
    -- Most calls are durable by themselves, and no quorum is demanded of them: asking here spares them a call.
    IF in_quorum OR current_setting('synchronous_commit') <> 'on' THEN
        PERFORM sidestream.demand_durability(in_quorum);
    END IF;
    -- The locks, the positions and the times in one statement. The rows of several are found by their key, one after the
    -- other and in rising order, whichever of the two the join begins with: nobody waits in a circle.
    IF cardinality(partitions) = 1 THEN
        UPDATE sidestream.partitions p
            SET position = p.position + counts[1], recorded_at = greatest(p.recorded_at, sidestream.now_micros())
            WHERE p.partition = partitions[1]
            RETURNING ARRAY[p.position - counts[1]], ARRAY[p.recorded_at], p.mark INTO bases, times, worst_mark;
    ELSE
        WITH moved AS (
            UPDATE sidestream.partitions p
                SET position = p.position + w.count, recorded_at = greatest(p.recorded_at, sidestream.now_micros())
                FROM unnest(partitions, counts) WITH ORDINALITY AS w(partition, count, place)
                WHERE p.partition = w.partition
                RETURNING w.place, p.position - w.count AS base, p.recorded_at, p.mark)
        SELECT array_agg(m.base ORDER BY m.place), array_agg(m.recorded_at ORDER BY m.place), max(m.mark)
            INTO bases, times, worst_mark FROM moved m;
    END IF;
    IF coalesce(cardinality(bases), 0) < cardinality(partitions) THEN
        RAISE EXCEPTION 'one of the partitions % does not exist', partitions USING ERRCODE = 'no_data_found';
    END IF;
    IF worst_mark > 1 THEN
        PERFORM sidestream.refuse_mark(worst_mark);
    END IF;
    -- Statements of their own: they have to see what was committed while the locks were waited for.
    IF cardinality(known) > 0 THEN
        SELECT array_agg(w.k), array_agg(w.head) INTO elsewhere, stands FROM (
            -- A side stream's key begins with 1.
            SELECT k, coalesce(
                CASE get_byte(keys[k], 0) WHEN 1 THEN
                    (SELECT r.side_version + (r.outcome IS NOT NULL)::int FROM sidestream.records r
                        WHERE r.partition = partitions[of_partition[k]] AND r.side_key = keys[k]
                        ORDER BY r.side_version DESC LIMIT 1)
                ELSE
                    (SELECT r.version FROM sidestream.records r
                        WHERE r.partition = partitions[of_partition[k]] AND r.key = keys[k]
                        ORDER BY r.version DESC LIMIT 1)
                END,
                (SELECT f.floor FROM sidestream.floors f
                    WHERE f.partition = partitions[of_partition[k]] AND f.key = keys[k]),
                0) AS head
            FROM unnest(known) AS k) w
        WHERE heads[w.k] <> w.head;
    END IF;
    -- A stream of which all was removed is no new one.
    IF elsewhere IS NULL AND EXISTS (SELECT FROM sidestream.floors f WHERE f.partition = ANY (partitions)) THEN
        SELECT array_agg(k), array_agg(f.floor) INTO elsewhere, stands
            FROM generate_series(1, cardinality(keys)) AS k
            JOIN sidestream.floors f ON f.partition = partitions[of_partition[k]] AND f.key = keys[k]
            WHERE heads[k] = 0;
    END IF;
    IF elsewhere IS NOT NULL THEN
        FOR place IN 1 .. cardinality(partitions) LOOP
            UPDATE sidestream.partitions p SET position = bases[place]
                WHERE p.partition = partitions[place];
        END LOOP;
        RETURN;
    END IF;
    INSERT INTO sidestream.records (
        partition, position, version, recorded_at, number_1, number_2, side_version, request_number, checksum,
        request_checksum, outcome_checksum, schema, request_schema, outcome_schema, kind, is_effect, transaction,
        key, side_key, stream, type, codec, step, fingerprint, requester, payload,
        request_codec, request, outcome_codec, outcome)
    SELECT partitions[r.part], bases[r.part] + places[r.i], versions[r.i], times[r.part], numbers_1[r.i], numbers_2[r.i],
        side_versions[r.i], request_numbers[r.pair], checksums[r.i], request_checksums[r.pair],
        outcome_checksums[r.pair], schemas[r.i], request_schemas[r.pair], outcome_schemas[r.pair], kinds[r.i], effects[r.i],
        transactions[r.i], CASE WHEN r.side <> r.stream THEN keys[r.stream] END, keys[r.side], names[r.stream],
        types[r.i], codecs[r.i], steps[r.i], fingerprints[r.i], requesters[r.i], payloads[r.i],
        request_codecs[r.pair], requests[r.pair], outcome_codecs[r.pair], outcomes[r.pair]
    -- A subquery with an offset stays one: what is looked up in two steps is looked up once a row.
    FROM (SELECT i, of_stream[i] AS stream, of_partition[of_stream[i]] AS part, side_of[i] AS side, pairs[i] AS pair
        FROM generate_series(1, cardinality(of_stream)) AS i OFFSET 0) r;
END $$;

-- Where streams are, in the order of their keys. Side streams have an index of their own.
CREATE FUNCTION sidestream.heads(in_partition int4, keys bytea[]) RETURNS int8[]
LANGUAGE plpgsql VOLATILE SET enable_sort = off SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(coalesce(
        CASE get_byte(k.key, 0) WHEN 1 THEN
            (SELECT r.side_version + (r.outcome IS NOT NULL)::int FROM sidestream.records r
                WHERE r.partition = in_partition AND r.side_key = k.key ORDER BY r.side_version DESC LIMIT 1)
        ELSE
            (SELECT r.version FROM sidestream.records r
                WHERE r.partition = in_partition AND r.key = k.key ORDER BY r.version DESC LIMIT 1)
        END,
        (SELECT f.floor FROM sidestream.floors f WHERE f.partition = in_partition AND f.key = k.key),
        0) ORDER BY k.place), '{}')
    FROM unnest(keys) WITH ORDINALITY AS k(key, place));
END $$;

-- A commit of this transaction has to be durable, and where a quorum is demanded, on a quorum.
CREATE FUNCTION sidestream.demand_durability(in_quorum bool) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    waits text := current_setting('synchronous_commit');
BEGIN
    IF waits IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF in_quorum AND current_setting('synchronous_standby_names') = '' THEN
        RAISE EXCEPTION 'synchronous_standby_names is empty' USING ERRCODE = 'SS001';
    END IF;
END $$;

-- What an append does to open steps: those that it leaves open, those it resumes, and those it settles.
CREATE FUNCTION sidestream.track_steps(
    in_partition int4, in_at int8,
    open_keys bytea[], open_streams text[], open_categories text[], open_transactions uuid[], open_steps text[],
    open_fingerprints bytea[], open_versions int8[], open_scanned int8[], open_resumed int4[],
    resumed_keys bytea[], resumed_scanned int8[], resumed_times int4[],
    settled_keys bytea[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    DELETE FROM sidestream.open_steps o WHERE o.partition = in_partition AND o.key = ANY(settled_keys);
    UPDATE sidestream.open_steps o
        SET scanned_to = greatest(o.scanned_to, r.scanned), resumed = o.resumed + r.times, touched_at = in_at
        FROM unnest(resumed_keys, resumed_scanned, resumed_times) AS r(key, scanned, times)
        WHERE o.partition = in_partition AND o.key = r.key;
    INSERT INTO sidestream.open_steps
    SELECT in_partition, n.key, n.stream, n.category, n.transaction, n.step, n.fingerprint, n.version, n.scanned,
        n.resumed, in_at, in_at
    FROM unnest(open_keys, open_streams, open_categories, open_transactions, open_steps, open_fingerprints,
        open_versions, open_scanned, open_resumed)
        AS n(key, stream, category, transaction, step, fingerprint, version, scanned, resumed)
    ON CONFLICT (partition, key) DO UPDATE SET
        transaction = excluded.transaction, step = excluded.step, fingerprint = excluded.fingerprint,
        aggregate_version = excluded.aggregate_version, scanned_to = excluded.scanned_to,
        resumed = excluded.resumed, requested_at = excluded.requested_at, touched_at = excluded.touched_at;
END $$;

-- An append to one partition that opens or settles steps of other appends, in one round trip and one transaction.
CREATE FUNCTION sidestream.append_tracked(
    partitions int4[], counts int8[], in_quorum bool,
    of_partition int4[], keys bytea[], names text[], heads int8[], known int4[],
    of_stream int4[], places int8[], versions int8[], side_of int4[], side_versions int8[], pairs int4[],
    numbers_1 int8[], numbers_2 int8[], checksums int4[], kinds int2[],
    schemas int4[], effects bool[], transactions uuid[], types text[], codecs text[], steps text[],
    fingerprints bytea[], requesters bytea[], payloads bytea[],
    request_numbers int8[], request_checksums int4[], request_schemas int4[], request_codecs text[], requests bytea[],
    outcome_checksums int4[], outcome_schemas int4[], outcome_codecs text[], outcomes bytea[],
    open_keys bytea[], open_streams text[], open_categories text[], open_transactions uuid[], open_steps text[],
    open_fingerprints bytea[], open_versions int8[], open_scanned int8[], open_resumed int4[],
    resumed_keys bytea[], resumed_scanned int8[], resumed_times int4[],
    settled_keys bytea[],
    OUT bases int8[], OUT times int8[], OUT elsewhere int4[], OUT stands int8[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT a.bases, a.times, a.elsewhere, a.stands INTO bases, times, elsewhere, stands FROM sidestream.append(
        partitions, counts, in_quorum, of_partition, keys, names, heads, known, of_stream, places, versions, side_of,
        side_versions, pairs, numbers_1, numbers_2, checksums, kinds, schemas, effects, transactions, types, codecs,
        steps, fingerprints, requesters, payloads, request_numbers, request_checksums, request_schemas,
        request_codecs, requests, outcome_checksums, outcome_schemas, outcome_codecs, outcomes) a;
    IF elsewhere IS NULL THEN
        PERFORM sidestream.track_steps(
            partitions[1], times[1], open_keys, open_streams, open_categories, open_transactions, open_steps,
            open_fingerprints, open_versions, open_scanned, open_resumed,
            resumed_keys, resumed_scanned, resumed_times, settled_keys);
    END IF;
END $$;

-- Takes a partition's lock, to be held to the end of the transaction.
CREATE FUNCTION sidestream.lock_partition(in_partition int4) RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT 1 FROM sidestream.partitions p WHERE p.partition = in_partition FOR UPDATE
$$;

-- Removes the records of a stream at and before a version. Answers the head, and the floor that there is now;
-- nothing is removed where the version is above the head.
CREATE FUNCTION sidestream.truncate(in_partition int4, in_quorum bool, in_key bytea, in_through int8, in_stream text,
    OUT head int8, OUT floor int8
) LANGUAGE plpgsql VOLATILE SET enable_sort = off SET enable_seqscan = off SET lock_timeout = '10s' AS $$
DECLARE
    found_mark int2;
BEGIN
    PERFORM sidestream.demand_durability(in_quorum);
    SELECT p.mark INTO found_mark FROM sidestream.partitions p WHERE p.partition = in_partition FOR UPDATE;
    IF found_mark > 0 THEN
        PERFORM sidestream.refuse_mark(found_mark);
    END IF;
    head := (sidestream.heads(in_partition, ARRAY[in_key]))[1];
    SELECT f.floor INTO floor FROM sidestream.floors f WHERE f.partition = in_partition AND f.key = in_key;
    floor := coalesce(floor, 0);
    IF in_through > head OR in_through <= floor THEN
        RETURN;
    END IF;
    floor := in_through;
    INSERT INTO sidestream.floors (partition, key, floor, stream) VALUES (in_partition, in_key, in_through, in_stream)
        ON CONFLICT (partition, key) DO UPDATE SET floor = excluded.floor;
    -- Of a row that has records of two streams the other's stay.
    UPDATE sidestream.records d SET kind = 0, key = NULL, is_effect = false, payload = ''
        WHERE d.outcome IS NOT NULL AND d.ctid = ANY (ARRAY(SELECT r.ctid FROM sidestream.records r
            WHERE r.partition = in_partition AND r.key = in_key AND r.version <= in_through ORDER BY r.version));
    DELETE FROM sidestream.records d WHERE d.ctid = ANY (ARRAY(SELECT r.ctid FROM sidestream.records r
        WHERE r.partition = in_partition AND r.key = in_key AND r.version <= in_through ORDER BY r.version));
    PERFORM sidestream.truncate_side(in_partition, in_key, in_through, in_stream);
END $$;

-- Removes the records of a side stream at and before a version, row by row: such a stream is short.
CREATE FUNCTION sidestream.truncate_side(in_partition int4, in_key bytea, in_through int8, in_stream text)
RETURNS void LANGUAGE plpgsql VOLATILE SET enable_sort = off SET enable_seqscan = off AS $$
DECLARE
    found sidestream.records;
BEGIN
    FOR found IN SELECT * FROM sidestream.records r
        WHERE r.partition = in_partition AND r.side_key = in_key AND r.side_version <= in_through
        ORDER BY r.side_version
    LOOP
        IF found.key IS NULL THEN
            DELETE FROM sidestream.records r WHERE r.partition = in_partition AND r.position = found.position;
        ELSE
            UPDATE sidestream.records r
                SET side_key = NULL, side_version = NULL, requester = NULL, request_number = NULL,
                    request_checksum = NULL, request_schema = NULL, request_codec = NULL, request = NULL,
                    outcome_checksum = NULL, outcome_schema = NULL, outcome_codec = NULL, outcome = NULL
                WHERE r.partition = in_partition AND r.position = found.position;
        END IF;
        -- An acceptance of which only the request goes gets a row of its own.
        IF found.outcome IS NOT NULL AND found.side_version = in_through THEN
            INSERT INTO sidestream.records (
                partition, position, version, recorded_at, number_1, number_2, side_version, checksum, schema, kind,
                is_effect, transaction, side_key, stream, type, codec, step, fingerprint, payload)
            VALUES (
                in_partition, found.position + 2, in_through + 1, found.recorded_at, found.version, 2, in_through + 1,
                found.outcome_checksum, found.outcome_schema, 7, false, found.transaction, in_key, in_stream,
                '$accepted', found.outcome_codec, found.step, found.fingerprint, found.outcome);
        END IF;
    END LOOP;
END $$;

-- Where all partitions are. Its commit writes, and so waits for the quorum: then all that it saw is on the quorum, too.
CREATE FUNCTION sidestream.confirm() RETURNS int8[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    positions int8[];
BEGIN
    PERFORM sidestream.demand_durability(true);
    positions := ARRAY(SELECT p.position FROM sidestream.partitions p ORDER BY p.partition);
    PERFORM pg_logical_emit_message(true, 'sidestream', '');
    RETURN positions;
END $$;

-- Parts of streams, many at once, in any order; not of side streams. Of a read with `before` the part starts at the latest
-- snapshot before it. A function, so that its plan is made once for a connection; a stable one: whoever reads side streams
-- along sees both as of one moment.
CREATE FUNCTION sidestream.read_streams(
    in_partitions int4[], in_keys bytea[], in_after int8[], in_before int8[], in_most int8[]
) RETURNS TABLE (
    place int8, floor int8, head int8, from_snapshot bool,
    partition int4, "position" int8, version int8, recorded_at int8, number_1 int8, number_2 int8, checksum int4,
    kind int2, schema int4, transaction uuid, stream text, type text, codec text, step text, fingerprint bytea,
    requester bytea, payload bytea
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET enable_sort = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.place, coalesce(f.floor, 0) AS floor, l.version AS head,
        snap.version IS NOT NULL AS from_snapshot,
        r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
        r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint,
        CASE WHEN r.outcome IS NULL THEN r.requester END AS requester, r.payload
    FROM unnest(in_partitions, in_keys, in_after, in_before, in_most) WITH ORDINALITY
        AS s(partition, key, after, before, most, place)
    LEFT JOIN LATERAL (SELECT f.floor FROM sidestream.floors f
        WHERE f.partition = s.partition AND f.key = s.key) f ON true
    LEFT JOIN LATERAL (SELECT n.version FROM sidestream.records n
        WHERE s.before IS NOT NULL AND n.partition + 0 = s.partition AND coalesce(n.key, n.side_key) = s.key
            AND n.version < s.before AND n.kind = 4
        ORDER BY n.version DESC LIMIT 1) snap ON true
    LEFT JOIN LATERAL (SELECT r.* FROM sidestream.records r
        WHERE r.partition = s.partition AND r.key = s.key AND r.version > coalesce(snap.version - 1, s.after)
        ORDER BY r.version LIMIT s.most + (snap.version IS NOT NULL)::int) r ON true
    -- Whoever read to the end knows the head: it is looked for where nothing was found, and behind a full page.
    LEFT JOIN LATERAL (SELECT l.version FROM sidestream.records l
        WHERE (r.version IS NULL AND (s.after > 0 OR s.most = 0)
            OR r.version >= coalesce(snap.version, greatest(s.after, f.floor)) + s.most)
            AND l.partition = s.partition AND l.key = s.key
        ORDER BY l.version DESC LIMIT 1) l ON true;
END $$;

-- The same of side streams, which have an index of their own: those rows that have a record of the part, whatever else they
-- have.
CREATE FUNCTION sidestream.read_side_streams(
    in_partitions int4[], in_keys bytea[], in_after int8[], in_before int8[], in_most int8[]
) RETURNS TABLE (
    place int8, floor int8, head int8, from_snapshot bool,
    partition int4, "position" int8, version int8, recorded_at int8, number_1 int8, number_2 int8, checksum int4,
    kind int2, schema int4, transaction uuid, stream text, type text, codec text, step text, fingerprint bytea,
    requester bytea, payload bytea,
    side_version int8, request_number int8, request_checksum int4, request_schema int4, request_codec text,
    request bytea, outcome_checksum int4, outcome_schema int4, outcome_codec text, outcome bytea
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET enable_sort = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.place, coalesce(f.floor, 0) AS floor, l.version AS head, snap.version IS NOT NULL AS from_snapshot,
        r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
        r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload,
        r.side_version, r.request_number, r.request_checksum, r.request_schema, r.request_codec, r.request,
        r.outcome_checksum, r.outcome_schema, r.outcome_codec, r.outcome
    FROM unnest(in_partitions, in_keys, in_after, in_before, in_most) WITH ORDINALITY
        AS s(partition, key, after, before, most, place)
    LEFT JOIN LATERAL (SELECT f.floor FROM sidestream.floors f
        WHERE f.partition = s.partition AND f.key = s.key) f ON true
    LEFT JOIN LATERAL (SELECT n.version FROM sidestream.records n
        WHERE s.before IS NOT NULL AND n.partition + 0 = s.partition AND coalesce(n.key, n.side_key) = s.key
            AND n.version < s.before AND n.kind = 4
        ORDER BY n.version DESC LIMIT 1) snap ON true
    LEFT JOIN LATERAL (SELECT r.*, r.side_version + (r.outcome IS NOT NULL)::int AS last FROM sidestream.records r
        WHERE r.partition = s.partition AND r.side_key = s.key
            AND r.side_version >= coalesce(snap.version - 1, s.after)
            AND r.side_version + (r.outcome IS NOT NULL)::int > coalesce(snap.version - 1, s.after)
        ORDER BY r.side_version LIMIT s.most + (snap.version IS NOT NULL)::int) r ON true
    LEFT JOIN LATERAL (SELECT l.side_version + (l.outcome IS NOT NULL)::int AS version FROM sidestream.records l
        WHERE (r.last IS NULL AND (s.after > 0 OR s.most = 0)
            OR r.last >= coalesce(snap.version, greatest(s.after, f.floor)) + s.most)
            AND l.partition = s.partition AND l.side_key = s.key
        ORDER BY l.side_version DESC LIMIT 1) l ON true;
END $$;
