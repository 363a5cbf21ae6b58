-- Each type by its index; the framework's types have none, and are looked for in the log itself.
SELECT p.position AS head,
    r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
    r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload
FROM sidestream.partitions p
LEFT JOIN LATERAL (
    SELECT m.* FROM (
        SELECT r.* FROM unnest($4::text[]) AS t(type)
        CROSS JOIN LATERAL (SELECT r.* FROM sidestream.records r
            WHERE r.partition + 0 = $1 AND r.type = t.type AND r.kind IN (1, 11) AND r.position > $2
            ORDER BY r.position LIMIT $3) r
        UNION ALL
        (SELECT r.* FROM sidestream.records r
            WHERE cardinality($5::text[]) > 0 AND r.partition = $1 AND r.kind <> 1 AND r.type = ANY($5)
                AND r.position > $2
            ORDER BY r.position LIMIT $3)
    ) m ORDER BY m.position LIMIT $3
) r ON true
WHERE p.partition = $1
ORDER BY r.position
