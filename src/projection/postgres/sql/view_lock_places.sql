SELECT revision FROM sidestream_view.places WHERE generation = $1 ORDER BY projection, version, partition FOR UPDATE
