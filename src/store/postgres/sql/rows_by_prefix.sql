SELECT n.at, r.key, r.revision, r.epoch, r.changed_at, r.expires_at, r.value
FROM (SELECT sidestream.now_micros() AS at) n
LEFT JOIN LATERAL (SELECT r.* FROM sidestream.guarded_rows r
    WHERE r.partition = $1 AND r.space = $2 AND r.key > $3 AND r.key >= $4 AND r.key <= $5 AND r.value IS NOT NULL
    ORDER BY r.key LIMIT $6) r ON true
ORDER BY r.key
