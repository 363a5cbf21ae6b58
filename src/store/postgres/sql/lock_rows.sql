SELECT place, revision, epoch, changed_at, expires_at, value, at, head, stamp FROM sidestream.lock_rows($1, $2, $3, $4)
