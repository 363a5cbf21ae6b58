INSERT INTO sidestream_view.joins (generation, projection, version, partition, positions) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (generation, projection, version, partition) DO UPDATE SET positions = excluded.positions
