SELECT sidestream.lock_partition($1)
