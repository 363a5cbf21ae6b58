-- Moving a store to another place.

-- Marks it: the locks are those of the writers, so whoever was under way has ended, and whoever comes finds the mark.
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
    keys bytea[], names text[], heads int8[], times int8[],
    of_stream int4[], places int8[], versions int8[], side_of int4[], side_versions int8[], pairs int4[],
    numbers_1 int8[], numbers_2 int8[], checksums int4[], kinds int2[],
    schemas int4[], effects bool[], transactions uuid[], types text[], codecs text[], steps text[],
    fingerprints bytea[], requesters bytea[], payloads bytea[],
    request_numbers int8[], request_checksums int4[], request_schemas int4[], request_codecs text[], requests bytea[],
    outcome_checksums int4[], outcome_schemas int4[], outcome_codecs text[], outcomes bytea[],
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
        partition, position, version, recorded_at, number_1, number_2, side_version, request_number, checksum,
        request_checksum, outcome_checksum, schema, request_schema, outcome_schema, kind, is_effect, transaction,
        key, side_key, stream, type, codec, step, fingerprint, requester, payload,
        request_codec, request, outcome_codec, outcome)
    SELECT in_partition, places[r.i], versions[r.i], times[r.i], numbers_1[r.i], numbers_2[r.i],
        side_versions[r.i], request_numbers[r.pair], checksums[r.i], request_checksums[r.pair],
        outcome_checksums[r.pair], schemas[r.i], request_schemas[r.pair], outcome_schemas[r.pair], kinds[r.i],
        -- A page may begin in the middle of a step's effect.
        effects[r.i] AND NOT (r.i = 1 AND coalesce((SELECT b.key = keys[r.stream]
                AND b.transaction = transactions[r.i] AND b.step = steps[r.i] AND b.kind = ANY (ARRAY[1, 2, 3]::int2[])
            FROM sidestream.records b WHERE b.partition = in_partition AND b.position = in_after
            ORDER BY b.position LIMIT 1), false)),
        transactions[r.i], CASE WHEN r.side <> r.stream THEN keys[r.stream] END, keys[r.side], names[r.stream],
        types[r.i], codecs[r.i], steps[r.i], fingerprints[r.i], requesters[r.i], payloads[r.i],
        request_codecs[r.pair], requests[r.pair], outcome_codecs[r.pair], outcomes[r.pair]
    FROM (SELECT i, of_stream[i] AS stream, side_of[i] AS side, pairs[i] AS pair
        FROM generate_series(1, cardinality(of_stream)) AS i OFFSET 0) r;
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
