-- Guarded rows, and closing partitions. What a row is, and when a write of it may be committed, stands in
-- store/rows.rs: here rows are locked and written.

-- A row that was removed has no value, and keeps its numbers: they are never used again. One that was forgotten is
-- deleted. Rows change often and in place, so their pages have room.
CREATE TABLE sidestream.guarded_rows (
    partition int4 NOT NULL,
    space text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    revision int8 NOT NULL,
    epoch int8 NOT NULL,
    changed_at int8 NOT NULL,
    expires_at int8,
    value bytea,
    PRIMARY KEY (partition, space, key)
) WITH (fillfactor = 50);

-- Locks rows to the end of the transaction, in the order of their keys, and answers what they are: the partition's row
-- of counters is not among them, so rows wait for no append, and no append for rows. Whoever writes rows and records
-- has locked the partition before. A row that was never there is made, so that there is something to lock: without a
-- value and with numbers of 0 it is as absent as before. `at`, `head` and `stamp` are the time now, the partition's
-- last position, and the time of a unit without records.
CREATE FUNCTION sidestream.lock_rows(in_partition int4, in_quorum bool, in_spaces text[], in_keys text[])
RETURNS TABLE (place int8, revision int8, epoch int8, changed_at int8, expires_at int8, value bytea,
    at int8, head int8, stamp int8)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '10s' AS $$
DECLARE
    found_mark int2;
    now_at int8;
    locked int8;
BEGIN
    PERFORM sidestream.demand_durability(in_quorum);
    LOOP
        INSERT INTO sidestream.guarded_rows
            SELECT in_partition, k.space COLLATE "C", k.key COLLATE "C", 0, 0, 0
            FROM unnest(in_spaces, in_keys) AS k(space, key) ORDER BY k.space COLLATE "C", k.key COLLATE "C"
            ON CONFLICT DO NOTHING;
        PERFORM 1 FROM sidestream.guarded_rows r
            WHERE r.partition = in_partition AND (r.space, r.key) IN (SELECT * FROM unnest(in_spaces, in_keys))
            ORDER BY r.space, r.key FOR UPDATE;
        GET DIAGNOSTICS locked = ROW_COUNT;
        -- One that was forgotten while its lock was waited for has to be made again.
        EXIT WHEN locked = cardinality(in_keys);
    END LOOP;
    SELECT p.position, p.recorded_at, p.mark INTO head, stamp, found_mark
        FROM sidestream.partitions p WHERE p.partition = in_partition;
    IF found_mark > 1 THEN
        PERFORM sidestream.refuse_mark(found_mark);
    END IF;
    now_at := sidestream.now_micros();
    at := now_at;
    stamp := greatest(stamp, now_at);
    -- A statement of its own: it has to see what was committed while the locks were waited for.
    RETURN QUERY SELECT k.place, r.revision, r.epoch, r.changed_at, r.expires_at, r.value,
            now_at, lock_rows.head, lock_rows.stamp
        FROM unnest(in_spaces, in_keys) WITH ORDINALITY AS k(space, key, place)
        JOIN sidestream.guarded_rows r
            ON r.partition = in_partition AND r.space = k.space COLLATE "C" AND r.key = k.key COLLATE "C";
END $$;

-- Writes rows that are locked. One with a revision of 0 is as if it had never been there.
CREATE FUNCTION sidestream.write_rows(
    in_partition int4, in_spaces text[], in_keys text[], in_revisions int8[], in_epochs int8[], in_changed int8[],
    in_expires int8[], in_values bytea[]
) RETURNS void LANGUAGE sql VOLATILE AS $$
    DELETE FROM sidestream.guarded_rows r USING unnest(in_spaces, in_keys, in_revisions) AS w(space, key, revision)
        WHERE r.partition = in_partition AND r.space = w.space COLLATE "C" AND r.key = w.key COLLATE "C"
            AND w.revision = 0;
    UPDATE sidestream.guarded_rows r
        SET revision = w.revision, epoch = w.epoch, changed_at = w.changed_at, expires_at = w.expires_at,
            value = w.value
        FROM unnest(in_spaces, in_keys, in_revisions, in_epochs, in_changed, in_expires, in_values)
            AS w(space, key, revision, epoch, changed_at, expires_at, value)
        WHERE r.partition = in_partition AND r.space = w.space COLLATE "C" AND r.key = w.key COLLATE "C"
$$;

-- Closes partitions at a time, and answers it for each. Later appends are stamped at `recorded_at` or after, and those
-- under way hold the row's lock: so what stands there says where the partition can be closed without a word, and
-- raising it, behind that lock, closes it later. See store/closing.rs. The locks are taken in the partitions' order.
-- Where a quorum is demanded something is always written, so that the commit waits for it: what was seen is on the
-- quorum then, too.
CREATE FUNCTION sidestream.close_partitions(in_partitions int4[], in_quorum bool, in_through int8)
RETURNS TABLE (partition int4, closed int8)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '10s' AS $$
DECLARE
    found_mark int2;
BEGIN
    PERFORM sidestream.demand_durability(in_quorum);
    IF in_quorum THEN
        PERFORM pg_logical_emit_message(true, 'sidestream', '');
    END IF;
    PERFORM 1 FROM sidestream.partitions p
        WHERE p.partition = ANY (in_partitions) AND p.recorded_at - 1 < in_through
        ORDER BY p.partition FOR UPDATE;
    -- Statements of their own: they have to see what was committed while the locks were waited for.
    SELECT max(p.mark) INTO found_mark FROM sidestream.partitions p WHERE p.partition = ANY (in_partitions);
    IF found_mark > 1 THEN
        PERFORM sidestream.refuse_mark(found_mark);
    END IF;
    UPDATE sidestream.partitions p SET recorded_at = greatest(p.recorded_at, sidestream.now_micros()) + 1
        WHERE p.partition = ANY (in_partitions) AND p.recorded_at - 1 < in_through;
    RETURN QUERY SELECT p.partition, p.recorded_at - 1 FROM sidestream.partitions p
        WHERE p.partition = ANY (in_partitions);
END $$;

-- As before; and rows, too, are written by nobody any more who does not find the mark.
CREATE OR REPLACE FUNCTION sidestream.set_mark(in_quorum bool, in_mark int2, in_place text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sidestream.demand_durability(in_quorum);
    PERFORM 1 FROM sidestream.partitions p ORDER BY p.partition FOR UPDATE;
    LOCK TABLE sidestream.guarded_rows IN SHARE ROW EXCLUSIVE MODE;
    UPDATE sidestream.partitions SET mark = in_mark;
    DELETE FROM sidestream.meta m WHERE m.key = 'move';
    INSERT INTO sidestream.meta (key, value) SELECT 'move', in_place WHERE in_place <> '';
END $$;

-- Takes in rows, in place of those that are there.
CREATE FUNCTION sidestream.import_rows(
    in_quorum bool, in_partitions int4[], in_spaces text[], in_keys text[], in_revisions int8[], in_epochs int8[],
    in_changed int8[], in_expires int8[], in_values bytea[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sidestream.lock_copy(0, in_quorum);
    INSERT INTO sidestream.guarded_rows
        SELECT * FROM unnest(in_partitions, in_spaces, in_keys, in_revisions, in_epochs, in_changed, in_expires,
            in_values)
        ON CONFLICT (partition, space, key) DO UPDATE SET revision = excluded.revision, epoch = excluded.epoch,
            changed_at = excluded.changed_at, expires_at = excluded.expires_at, value = excluded.value;
END $$;

-- Raises the times of a copy's partitions, from partition 0 on, to those of its source: it may have been closed later
-- than its last record.
CREATE FUNCTION sidestream.raise_times(in_quorum bool, in_times int8[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM sidestream.lock_copy(0, in_quorum);
    UPDATE sidestream.partitions p SET recorded_at = t.at
        FROM unnest(in_times) WITH ORDINALITY AS t(at, place)
        WHERE p.partition = t.place - 1 AND p.recorded_at < t.at;
END $$;
