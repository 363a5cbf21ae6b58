SELECT projection, version, partition, action, cardinal, position, who, why, at FROM sidestream_audit ORDER BY number
