SELECT head, floor FROM sidestream.truncate($1, $2, $3, $4, $5)
