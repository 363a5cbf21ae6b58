INSERT INTO sidestream_view.places AS p
    (projection, version, partition, store, epoch, revision, position, changed_at)
VALUES ($1, $2, $3, $4, $5, 1, 0, $6)
ON CONFLICT (projection, version, partition) DO UPDATE
SET epoch = excluded.epoch, revision = p.revision + 1, changed_at = excluded.changed_at
WHERE p.store = excluded.store AND p.epoch <= excluded.epoch
RETURNING p.position, p.revision
