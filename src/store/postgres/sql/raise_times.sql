SELECT sidestream.raise_times($1, $2)
