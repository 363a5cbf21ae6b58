INSERT INTO meta VALUES (1, ?1, ?2, 0, 0, 0);
