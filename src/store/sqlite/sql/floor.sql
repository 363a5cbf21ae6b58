SELECT floor FROM streams WHERE stream = ?1
