UPDATE sidestream_generation SET successor = ?1 WHERE successor IS NOT NULL
