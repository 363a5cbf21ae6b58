DELETE FROM records WHERE stream = ?1 AND version <= ?2
