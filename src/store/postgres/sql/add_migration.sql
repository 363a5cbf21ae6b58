INSERT INTO sidestream.migrations (step, checksum) VALUES ($1, $2)
