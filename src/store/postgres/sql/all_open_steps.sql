SELECT stream, transaction, step, fingerprint, aggregate_version, scanned_to, resumed, requested_at, touched_at
FROM sidestream.open_steps
WHERE stream > $1
ORDER BY stream
LIMIT $2
