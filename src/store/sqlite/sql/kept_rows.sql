SELECT partition, space, key, revision, epoch, changed_at, expires_at, value
FROM guarded_rows
WHERE (partition, space, key) > (?1, ?2, ?3)
ORDER BY partition, space, key
LIMIT ?4
