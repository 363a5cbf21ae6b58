INSERT INTO sidestream_view.parked
    (generation, projection, version, partition, cardinal, position, event_type, error, attempts, since, waiting)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (generation, projection, version, partition, cardinal) DO UPDATE
SET position = excluded.position, event_type = excluded.event_type, error = excluded.error,
    attempts = excluded.attempts, since = excluded.since, waiting = excluded.waiting
