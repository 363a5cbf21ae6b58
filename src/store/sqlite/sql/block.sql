SELECT body FROM blocks WHERE id = ?1
