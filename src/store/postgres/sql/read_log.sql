-- A row up to two positions before the place where the page begins may have records behind it. Whoever puts the page
-- together leaves out those that are before it.
SELECT p.position AS head,
    r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
    r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload,
    r.side_version, r.request_number, r.request_checksum, r.request_schema, r.request_codec, r.request,
    r.outcome_checksum, r.outcome_schema, r.outcome_codec, r.outcome
FROM sidestream.partitions p
LEFT JOIN LATERAL (SELECT r.* FROM sidestream.records r
    WHERE r.partition = $1 AND r.position > $2 - 2 ORDER BY r.position LIMIT $3 + 2) r ON true
WHERE p.partition = $1
ORDER BY r.position
