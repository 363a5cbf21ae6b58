INSERT INTO sidestream.partitions SELECT n, 0, 0 FROM generate_series(0, $1 - 1) n
