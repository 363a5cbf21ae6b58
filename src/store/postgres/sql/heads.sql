SELECT sidestream.heads($1, $2)
