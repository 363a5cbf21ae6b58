SELECT * FROM sidestream.read_streams($1, $2, $3, $4, $5)
