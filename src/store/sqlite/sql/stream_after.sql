SELECT place, stream, version, kind, first_number, second_number, type, schema, codec,
    transaction_id, step, fingerprint, requester, recorded_at, checksum, payload
FROM records
WHERE stream = ?1 AND version > ?2
ORDER BY version
LIMIT ?3
