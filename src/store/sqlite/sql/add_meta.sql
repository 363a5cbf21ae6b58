INSERT INTO meta VALUES (1, ?1, ?2, 0);
