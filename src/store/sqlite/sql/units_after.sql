SELECT row, partition, position, recorded_at, body FROM units WHERE row > ?1 ORDER BY row
