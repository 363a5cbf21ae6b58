UPDATE units SET body = ?2 WHERE row = ?1
