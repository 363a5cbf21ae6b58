SELECT partition, space, key, revision, epoch, changed_at, expires_at, value
FROM sidestream.guarded_rows
WHERE (partition, space, key) > ($1, $2, $3) AND revision > 0
ORDER BY partition, space, key
LIMIT $4
