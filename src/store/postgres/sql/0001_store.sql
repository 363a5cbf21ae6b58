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

-- Times are microseconds since 1970. The stream's key begins, in side streams, with the transaction, so that
-- time-ordered ids lie next to each other in the index. The two numbers are those of the kind.
CREATE TABLE sidestream.records (
    partition int4 NOT NULL,
    position int8 NOT NULL,
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
    payload bytea NOT NULL,
    CONSTRAINT records_position PRIMARY KEY (partition, position)
);

-- A new store has no statistics, and to a planner without them each index of a partition is as good as any other: one
-- unlucky plan then reads a partition for a record, and is kept until somebody analyses the table. So each query can be
-- served by one index only. Functions that look streams up forbid sorts, which leaves the index that has their order;
-- the two indexes for types and snapshots are over an expression that only their own queries name.
CREATE UNIQUE INDEX records_version ON sidestream.records (partition, key, version);
-- The second wall behind the expected versions: a step takes effect in a stream at most once.
CREATE UNIQUE INDEX records_effect ON sidestream.records (partition, transaction, step, key) WHERE is_effect;
CREATE INDEX records_type ON sidestream.records ((partition + 0), type, position) WHERE kind IN (1, 11);
CREATE INDEX records_snapshot ON sidestream.records ((partition + 0), key, version) WHERE kind = 4;

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
-- are. Stream k lies in the partition
-- `partitions[of_partition[k]]`. Those of `known` are looked up; the others are to get their first record, and should they
-- be there, the unique index refuses it, and with it the append. Record i belongs to the stream `of_stream[i]`; the records of a partition, `counts` of
-- them, stand together, and get the positions after `bases`. A partition that somebody keeps locked is not waited for
-- long: those before it are locked meanwhile, and the connection is wanted.
CREATE FUNCTION sidestream.append(
    partitions int4[], counts int8[], in_quorum bool,
    of_partition int4[], keys bytea[], names text[], heads int8[], known int4[],
    of_stream int4[], versions int8[], numbers_1 int8[], numbers_2 int8[], checksums int4[], kinds int2[],
    schemas int4[], effects bool[], transactions uuid[], types text[], codecs text[], steps text[],
    fingerprints bytea[], requesters bytea[], payloads bytea[],
    OUT bases int8[], OUT times int8[], OUT elsewhere int4[], OUT stands int8[]
) LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_sort = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET lock_timeout = '50ms' AS $$
DECLARE
    count int8 := 0;
    base int8;
    at int8;
    found_mark int2;
    -- What the place of a record is to be raised by to be its position.
    shifts int8[];
BEGIN
    -- Most calls are durable by themselves, and no quorum is demanded of them: asking here spares them a call.
    IF in_quorum OR current_setting('synchronous_commit') <> 'on' THEN
        PERFORM sidestream.demand_durability(in_quorum);
    END IF;
    bases := array_fill(NULL::int8, ARRAY[cardinality(partitions)]);
    times := bases;
    FOR place IN 1 .. cardinality(partitions) LOOP
        -- The lock, the positions and the time in one statement.
        UPDATE sidestream.partitions p
            SET position = p.position + counts[place], recorded_at = greatest(p.recorded_at, sidestream.now_micros())
            WHERE p.partition = partitions[place]
            RETURNING p.position - counts[place], p.recorded_at, p.mark INTO base, at, found_mark;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'partition % does not exist', partitions[place] USING ERRCODE = 'no_data_found';
        END IF;
        IF found_mark > 1 THEN
            PERFORM sidestream.refuse_mark(found_mark);
        END IF;
        bases[place] := base;
        times[place] := at;
        shifts[place] := base - count;
        count := count + counts[place];
    END LOOP;
    -- Statements of their own: they have to see what was committed while the locks were waited for.
    IF cardinality(known) > 0 THEN
        SELECT array_agg(w.k), array_agg(w.head) INTO elsewhere, stands FROM (
            SELECT k, coalesce(
                (SELECT r.version FROM sidestream.records r
                    WHERE r.partition = partitions[of_partition[k]] AND r.key = keys[k]
                    ORDER BY r.version DESC LIMIT 1),
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
        partition, position, version, recorded_at, number_1, number_2, checksum, kind, schema, is_effect,
        transaction, key, stream, type, codec, step, fingerprint, requester, payload)
    SELECT partitions[of_partition[of_stream[i]]], shifts[of_partition[of_stream[i]]] + i, versions[i],
        times[of_partition[of_stream[i]]], numbers_1[i], numbers_2[i], checksums[i], kinds[i], schemas[i],
        effects[i], transactions[i], keys[of_stream[i]], names[of_stream[i]], types[i], codecs[i], steps[i],
        fingerprints[i], requesters[i], payloads[i]
    FROM generate_series(1, count::int4) AS i;
END $$;

-- Where streams are, in the order of their keys.
CREATE FUNCTION sidestream.heads(in_partition int4, keys bytea[]) RETURNS int8[]
LANGUAGE plpgsql VOLATILE SET enable_sort = off SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(coalesce(
        (SELECT r.version FROM sidestream.records r
            WHERE r.partition = in_partition AND r.key = k.key ORDER BY r.version DESC LIMIT 1),
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
    of_stream int4[], versions int8[], numbers_1 int8[], numbers_2 int8[], checksums int4[], kinds int2[],
    schemas int4[], effects bool[], transactions uuid[], types text[], codecs text[], steps text[],
    fingerprints bytea[], requesters bytea[], payloads bytea[],
    open_keys bytea[], open_streams text[], open_categories text[], open_transactions uuid[], open_steps text[],
    open_fingerprints bytea[], open_versions int8[], open_scanned int8[], open_resumed int4[],
    resumed_keys bytea[], resumed_scanned int8[], resumed_times int4[],
    settled_keys bytea[],
    OUT bases int8[], OUT times int8[], OUT elsewhere int4[], OUT stands int8[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT a.bases, a.times, a.elsewhere, a.stands INTO bases, times, elsewhere, stands FROM sidestream.append(
        partitions, counts, in_quorum, of_partition, keys, names, heads, known, of_stream, versions, numbers_1,
        numbers_2, checksums, kinds, schemas, effects, transactions, types, codecs, steps, fingerprints, requesters,
        payloads) a;
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
CREATE FUNCTION sidestream.truncate(in_partition int4, in_quorum bool, in_key bytea, in_through int8,
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
    INSERT INTO sidestream.floors
        (SELECT in_partition, in_key, in_through, r.stream FROM sidestream.records r
            WHERE r.partition = in_partition AND r.key = in_key AND r.version <= in_through
            ORDER BY r.version LIMIT 1)
        ON CONFLICT (partition, key) DO UPDATE SET floor = excluded.floor;
    DELETE FROM sidestream.records d WHERE d.ctid = ANY (ARRAY(SELECT r.ctid FROM sidestream.records r
        WHERE r.partition = in_partition AND r.key = in_key AND r.version <= in_through ORDER BY r.version));
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

-- Parts of streams, many at once, in any order. Of a read with `before` the part starts at the latest snapshot before it. A
-- function, so that its plan is made once for a connection.
CREATE FUNCTION sidestream.read_streams(
    in_partitions int4[], in_keys bytea[], in_after int8[], in_before int8[], in_most int8[]
) RETURNS TABLE (
    place int8, floor int8, head int8, from_snapshot bool,
    partition int4, "position" int8, version int8, recorded_at int8, number_1 int8, number_2 int8, checksum int4,
    kind int2, schema int4, transaction uuid, stream text, type text, codec text, step text, fingerprint bytea,
    requester bytea, payload bytea
) LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_sort = off SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.place, coalesce(f.floor, 0) AS floor, l.version AS head,
        snap.version IS NOT NULL AS from_snapshot,
        r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
        r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload
    FROM unnest(in_partitions, in_keys, in_after, in_before, in_most) WITH ORDINALITY
        AS s(partition, key, after, before, most, place)
    LEFT JOIN LATERAL (SELECT f.floor FROM sidestream.floors f
        WHERE f.partition = s.partition AND f.key = s.key) f ON true
    LEFT JOIN LATERAL (SELECT n.version FROM sidestream.records n
        WHERE s.before IS NOT NULL AND n.partition + 0 = s.partition AND n.key = s.key AND n.version < s.before AND n.kind = 4
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

-- Moving a store. Marks it: the locks are those of the writers, so whoever was under way has ended, and whoever comes
-- finds the mark.
CREATE FUNCTION sidestream.set_mark(in_quorum bool, in_mark int2, in_place text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sidestream.demand_durability(in_quorum);
    PERFORM 1 FROM sidestream.partitions p ORDER BY p.partition FOR UPDATE;
    UPDATE sidestream.partitions SET mark = in_mark;
    DELETE FROM sidestream.meta m WHERE m.key = 'move';
    INSERT INTO sidestream.meta (key, value) SELECT 'move', in_place WHERE in_place <> '';
END $$;

-- Makes an empty store a copy under way, of another one's id. Answers whether it was empty.
CREATE FUNCTION sidestream.become_copy(in_id text) RETURNS bool LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM 1 FROM sidestream.partitions p ORDER BY p.partition FOR UPDATE;
    IF EXISTS (SELECT FROM sidestream.partitions p WHERE p.position > 0 OR p.mark > 0) THEN
        RETURN false;
    END IF;
    UPDATE sidestream.meta m SET value = in_id WHERE m.key = 'id';
    UPDATE sidestream.partitions SET mark = 3;
    RETURN true;
END $$;

-- Locks a partition that takes in a copy.
CREATE FUNCTION sidestream.lock_copy(in_partition int4, in_quorum bool) RETURNS int8 LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    stands int8;
    found_mark int2;
BEGIN
    PERFORM sidestream.demand_durability(in_quorum);
    SELECT p.position, p.mark INTO stands, found_mark
        FROM sidestream.partitions p WHERE p.partition = in_partition FOR UPDATE;
    IF found_mark IS DISTINCT FROM 3 THEN
        RAISE EXCEPTION 'the store is no copy under way' USING ERRCODE = 'SS120';
    END IF;
    RETURN stands;
END $$;

-- Takes in the next part of a partition's log, whole or not at all: not where the copy `stands` elsewhere than
-- `in_after`, or a stream is not at the version in `heads`.
CREATE FUNCTION sidestream.import(
    in_partition int4, in_quorum bool, in_after int8, in_through int8, in_at int8,
    keys bytea[], names text[], heads int8[], positions int8[], times int8[],
    of_stream int4[], versions int8[], numbers_1 int8[], numbers_2 int8[], checksums int4[], kinds int2[],
    schemas int4[], effects bool[], transactions uuid[], types text[], codecs text[], steps text[],
    fingerprints bytea[], requesters bytea[], payloads bytea[],
    OUT stands int8, OUT elsewhere int8[]
) LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_sort = off SET enable_seqscan = off AS $$
BEGIN
    stands := sidestream.lock_copy(in_partition, in_quorum);
    IF stands <> in_after THEN
        RETURN;
    END IF;
    elsewhere := sidestream.heads(in_partition, keys);
    IF elsewhere IS DISTINCT FROM heads THEN
        RETURN;
    END IF;
    elsewhere := NULL;
    INSERT INTO sidestream.records (
        partition, position, version, recorded_at, number_1, number_2, checksum, kind, schema, is_effect,
        transaction, key, stream, type, codec, step, fingerprint, requester, payload)
    SELECT in_partition, r.position, r.version, r.at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
        -- A page may begin in the middle of a step's effect.
        r.effect AND NOT (r.place = 1 AND coalesce((SELECT b.key = keys[r.stream]
                AND b.transaction = r.transaction AND b.step = r.step AND b.kind = ANY (ARRAY[1, 2, 3]::int2[])
            FROM sidestream.records b WHERE b.partition = in_partition AND b.position = in_after
            ORDER BY b.position LIMIT 1), false)),
        r.transaction, keys[r.stream], names[r.stream], r.type, r.codec, r.step, r.fingerprint,
        r.requester, r.payload
    FROM unnest(positions, times, of_stream, versions, numbers_1, numbers_2, checksums, kinds, schemas, effects,
        transactions, types, codecs, steps, fingerprints, requesters, payloads) WITH ORDINALITY
        AS r(position, at, stream, version, number_1, number_2, checksum, kind, schema, effect,
        transaction, type, codec, step, fingerprint, requester, payload, place);
    UPDATE sidestream.partitions p SET position = in_through, recorded_at = in_at WHERE p.partition = in_partition;
END $$;

-- Takes in floors, before any record.
CREATE FUNCTION sidestream.import_floors(
    in_quorum bool, in_partitions int4[], in_keys bytea[], in_streams text[], in_floors int8[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sidestream.lock_copy(0, in_quorum);
    INSERT INTO sidestream.floors (partition, key, floor, stream)
        SELECT * FROM unnest(in_partitions, in_keys, in_floors, in_streams)
        ON CONFLICT (partition, key) DO UPDATE SET floor = excluded.floor;
END $$;

-- Takes in open steps; the first ones replace all that are there.
CREATE FUNCTION sidestream.import_steps(
    in_quorum bool, is_first bool, in_partitions int4[], in_keys bytea[], in_streams text[], in_categories text[],
    in_transactions uuid[], in_steps text[], in_fingerprints bytea[], in_versions int8[], in_scanned int8[],
    in_resumed int4[], in_requested int8[], in_touched int8[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sidestream.lock_copy(0, in_quorum);
    IF is_first THEN
        DELETE FROM sidestream.open_steps;
    END IF;
    INSERT INTO sidestream.open_steps (partition, key, stream, category, transaction, step, fingerprint,
            aggregate_version, scanned_to, resumed, requested_at, touched_at)
        SELECT * FROM unnest(in_partitions, in_keys, in_streams, in_categories, in_transactions, in_steps,
            in_fingerprints, in_versions, in_scanned, in_resumed, in_requested, in_touched);
END $$;
