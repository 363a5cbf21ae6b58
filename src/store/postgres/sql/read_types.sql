-- Each type by its index; the framework's types have none, and are looked for in the log itself: in rows of their own,
-- and beside other records.
SELECT p.position AS head,
    r.partition, r.position, r.version, r.recorded_at, r.number_1, r.number_2, r.checksum, r.kind, r.schema,
    r.transaction, r.stream, r.type, r.codec, r.step, r.fingerprint, r.requester, r.payload,
    r.side_version, r.request_number, r.request_checksum, r.request_schema, r.request_codec, r.request,
    r.outcome_checksum, r.outcome_schema, r.outcome_codec, r.outcome
FROM sidestream.partitions p
LEFT JOIN LATERAL (
    SELECT DISTINCT ON (m.position) m.* FROM (
        SELECT r.* FROM unnest($4::text[]) AS t(type)
        CROSS JOIN LATERAL (SELECT r.* FROM sidestream.records r
            WHERE r.partition + 0 = $1 AND r.type = t.type AND r.kind IN (1, 11) AND r.position > $2
            ORDER BY r.position LIMIT $3) r
        UNION ALL
        (SELECT r.* FROM sidestream.records r
            WHERE cardinality($5::text[]) > 0 AND r.partition = $1 AND r.position > $2 - 2
                AND (r.kind NOT IN (0, 1) AND r.type = ANY($5) AND r.position > $2
                    OR r.outcome IS NOT NULL AND '$requested' = ANY($5) AND r.position + 1 > $2
                    OR r.outcome IS NOT NULL AND '$accepted' = ANY($5))
            ORDER BY r.position LIMIT $3)
    ) m ORDER BY m.position LIMIT $3
) r ON true
WHERE p.partition = $1
ORDER BY r.position
