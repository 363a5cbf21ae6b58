INSERT INTO sidestream.meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING
