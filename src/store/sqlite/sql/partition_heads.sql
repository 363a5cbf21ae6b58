SELECT partition, head, time FROM partitions ORDER BY partition
