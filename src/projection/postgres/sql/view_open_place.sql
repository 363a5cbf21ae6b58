INSERT INTO sidestream_view.places AS p
    (generation, projection, version, partition, store, epoch, revision, position, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, 1, 0, $7)
ON CONFLICT (generation, projection, version, partition) DO UPDATE
SET epoch = excluded.epoch, revision = p.revision + 1, changed_at = excluded.changed_at
WHERE p.store = excluded.store AND p.epoch <= excluded.epoch
RETURNING p.position, p.revision
