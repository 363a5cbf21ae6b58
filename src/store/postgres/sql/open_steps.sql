SELECT stream, transaction, step, fingerprint, aggregate_version, scanned_to, resumed, requested_at, touched_at
FROM sidestream.open_steps
WHERE partition + 0 = $1 AND category = $2
    AND ($3::int8 = 0 OR touched_at <= sidestream.now_micros() - $3)
    AND (touched_at, stream) > ($4, $5)
ORDER BY touched_at, stream
LIMIT $6
