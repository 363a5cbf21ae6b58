INSERT OR REPLACE INTO lists (type, partition, first_position, first_row, body) VALUES (?1, ?2, ?3, ?4, ?5)
