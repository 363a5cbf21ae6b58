SELECT stream, transaction_id, step, fingerprint, aggregate_version, scanned_to, resumed, requested_at, touched_at
FROM open_steps
WHERE stream > ?1
ORDER BY stream
LIMIT ?2
