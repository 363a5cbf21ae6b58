SELECT key, revision, epoch, changed_at, expires_at, value
FROM guarded_rows
WHERE partition = ?1 AND space = ?2 AND key IN (SELECT value FROM json_each(?3)) AND value IS NOT NULL
ORDER BY key
