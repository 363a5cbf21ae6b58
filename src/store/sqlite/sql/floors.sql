SELECT stream, floor FROM streams WHERE stream > ?1 ORDER BY stream LIMIT ?2
