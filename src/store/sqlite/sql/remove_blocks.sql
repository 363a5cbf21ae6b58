DELETE FROM blocks WHERE id >= ?1 AND id < ?2
