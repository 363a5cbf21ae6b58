SELECT cardinal FROM sidestream_parked WHERE projection = ?1 AND version = ?2 AND partition = ?3 ORDER BY cardinal
