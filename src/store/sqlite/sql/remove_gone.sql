DELETE FROM gone WHERE stream = ?1
