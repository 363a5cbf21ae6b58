SELECT place, stream, version, kind, first_number, second_number, type, schema, codec,
    transaction_id, step, fingerprint, requester, recorded_at, checksum, payload
FROM records
WHERE place > ?1 AND place <= ?2
ORDER BY place
LIMIT ?3
