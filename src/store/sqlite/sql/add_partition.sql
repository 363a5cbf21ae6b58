INSERT INTO partitions VALUES (?1, 0, ?2);
