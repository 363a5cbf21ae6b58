-- Side streams behind the others.
SELECT r.*, NULL::int8, NULL::int8, NULL::int4, NULL::int4, NULL::text, NULL::bytea, NULL::int4, NULL::int4,
    NULL::text, NULL::bytea
FROM sidestream.read_streams($1, $2, $3, $4, $5) r
UNION ALL
SELECT s.place + cardinality($1), s.floor, s.head, s.from_snapshot,
    s.partition, s.position, s.version, s.recorded_at, s.number_1, s.number_2, s.checksum, s.kind, s.schema,
    s.transaction, s.stream, s.type, s.codec, s.step, s.fingerprint, s.requester, s.payload,
    s.side_version, s.request_number, s.request_checksum, s.request_schema, s.request_codec, s.request,
    s.outcome_checksum, s.outcome_schema, s.outcome_codec, s.outcome
FROM sidestream.read_side_streams($6, $7, $8, $9, $10) s
