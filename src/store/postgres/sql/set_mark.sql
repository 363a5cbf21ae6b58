SELECT sidestream.set_mark($1, $2, $3)
