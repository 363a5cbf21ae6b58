INSERT INTO sidestream_view.migrations (step, checksum) VALUES ($1, $2)
