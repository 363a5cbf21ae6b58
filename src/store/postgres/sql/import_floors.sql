SELECT sidestream.import_floors($1, $2, $3, $4, $5)
