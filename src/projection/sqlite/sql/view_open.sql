INSERT INTO sidestream_places (projection, version, partition, store, epoch, revision, position, changed_at)
VALUES (?1, ?2, ?3, ?4, ?5, 1, 0, ?6)
ON CONFLICT (projection, version, partition) DO UPDATE
SET epoch = excluded.epoch, revision = revision + 1, changed_at = excluded.changed_at
