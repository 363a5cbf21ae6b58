INSERT INTO sidestream.partitions (partition, position, recorded_at) SELECT n, 0, 0 FROM generate_series(0, $1 - 1) n
