-- Parts of streams. Of a read with `before` the part starts at the latest snapshot before it.
SELECT s.place, coalesce(f.floor, 0) AS floor, coalesce(l.version, f.floor, 0) AS head,
    snap.version IS NOT NULL AS from_snapshot,
    r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
    r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload
FROM unnest($1::int4[], $2::bytea[], $3::int8[], $4::int8[], $5::int8[]) WITH ORDINALITY
    AS s(partition, key, after, before, most, place)
LEFT JOIN LATERAL (SELECT f.floor FROM sidestream.floors f
    WHERE f.partition = s.partition AND f.key = s.key) f ON true
LEFT JOIN LATERAL (SELECT l.version FROM sidestream.records l
    WHERE l.partition = s.partition AND l.key = s.key ORDER BY l.version DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT n.version FROM sidestream.records n
    WHERE s.before IS NOT NULL AND n.partition = s.partition AND n.key = s.key AND n.version < s.before AND n.kind = 4
    ORDER BY n.version DESC LIMIT 1) snap ON true
LEFT JOIN LATERAL (SELECT r.* FROM sidestream.records r
    WHERE r.partition = s.partition AND r.key = s.key AND r.version > coalesce(snap.version - 1, s.after)
    ORDER BY r.version LIMIT s.most + (snap.version IS NOT NULL)::int) r ON true
ORDER BY s.place, r.version
