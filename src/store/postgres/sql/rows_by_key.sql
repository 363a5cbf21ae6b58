SELECT n.at, r.key, r.revision, r.epoch, r.changed_at, r.expires_at, r.value
FROM (SELECT sidestream.now_micros() AS at) n
LEFT JOIN sidestream.guarded_rows r
    ON r.partition = $1 AND r.space = $2 AND r.key = ANY ($3) AND r.value IS NOT NULL
ORDER BY r.key
