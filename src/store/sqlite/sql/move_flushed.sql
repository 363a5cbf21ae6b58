UPDATE meta SET flushed_row = ?1
