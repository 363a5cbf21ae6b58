SELECT stream, transaction_id, step, fingerprint, aggregate_version, scanned_to, resumed, requested_at, touched_at
FROM open_steps
WHERE partition = ?1 AND category = ?2 AND touched_at <= ?3 AND (touched_at, stream) > (?4, ?5)
ORDER BY touched_at, stream
LIMIT ?6
