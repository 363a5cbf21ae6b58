SELECT position, recorded_at FROM sidestream.partitions ORDER BY partition
