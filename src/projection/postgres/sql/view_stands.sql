SELECT projection, version, partition, epoch, revision, position, ARRAY(
    SELECT cardinal FROM sidestream_view.parked AS k
    WHERE (k.generation, k.projection, k.version, k.partition) = (p.generation, p.projection, p.version, p.partition)
    ORDER BY cardinal)
FROM sidestream_view.places AS p
WHERE generation = coalesce($1, (SELECT number FROM sidestream_view.generations WHERE state = 'live'))
ORDER BY projection, version, partition
