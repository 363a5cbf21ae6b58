SELECT key, revision, epoch, changed_at, expires_at, value
FROM guarded_rows
WHERE partition = ?1 AND space = ?2 AND key > ?3 AND key >= ?4 AND key <= ?5 AND value IS NOT NULL
ORDER BY key
LIMIT ?6
