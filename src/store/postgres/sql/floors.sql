SELECT f.stream, f.floor, (sidestream.heads(f.partition, ARRAY[f.key]))[1] AS head
FROM sidestream.floors f
WHERE f.stream > $1
ORDER BY f.stream
LIMIT $2
