INSERT INTO streams (stream, floor) VALUES (?1, ?2)
ON CONFLICT (stream) DO UPDATE SET floor = max(floor, excluded.floor)
