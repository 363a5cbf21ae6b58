SELECT partition, closed FROM sidestream.close_partitions($1, $2, $3)
