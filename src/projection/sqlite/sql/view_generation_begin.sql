INSERT INTO sidestream_generation (number, is_building, last, building, successor) VALUES (?1, ?2, ?1, NULL, NULL)
