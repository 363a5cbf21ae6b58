-- kind = 4 as in the partial index.
SELECT place, stream, version, kind, first_number, second_number, type, schema, codec,
    transaction_id, step, fingerprint, requester, recorded_at, checksum, payload
FROM records
WHERE stream = ?1 AND version < ?2 AND kind = 4
ORDER BY version DESC
LIMIT 1
