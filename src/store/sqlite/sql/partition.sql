SELECT head, time FROM partitions WHERE partition = ?1
