INSERT INTO sidestream_joins (projection, version, partition, positions) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (projection, version, partition) DO UPDATE SET positions = excluded.positions
