SELECT p.mark, coalesce((SELECT m.value FROM sidestream.meta m WHERE m.key = 'move'), '')
FROM sidestream.partitions p ORDER BY p.mark DESC LIMIT 1
