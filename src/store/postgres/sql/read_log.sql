SELECT p.position AS head,
    r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
    r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload
FROM sidestream.partitions p
LEFT JOIN LATERAL (SELECT r.* FROM sidestream.records r
    WHERE r.partition = $1 AND r.position > $2 ORDER BY r.position LIMIT $3) r ON true
WHERE p.partition = $1
ORDER BY r.position
