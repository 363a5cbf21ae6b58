SELECT place FROM records WHERE type = ?1 AND place > ?2 AND place <= ?3 ORDER BY place LIMIT ?4
