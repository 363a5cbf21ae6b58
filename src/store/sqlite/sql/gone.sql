SELECT stream, head FROM gone WHERE partition = ?1 ORDER BY stream LIMIT ?2
