SELECT partition, position FROM sidestream.partitions ORDER BY partition
