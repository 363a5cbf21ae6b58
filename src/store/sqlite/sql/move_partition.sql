UPDATE partitions SET head = ?2, time = ?3 WHERE partition = ?1
