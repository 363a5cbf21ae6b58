SELECT projection, version, partition, epoch, position, revision FROM sidestream_places ORDER BY projection, version, partition
