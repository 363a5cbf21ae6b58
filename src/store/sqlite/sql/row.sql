SELECT revision, epoch, changed_at, expires_at, value FROM guarded_rows WHERE partition = ?1 AND space = ?2 AND key = ?3
