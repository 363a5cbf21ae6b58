INSERT INTO open_steps (
    stream, partition, category, transaction_id, step, fingerprint,
    aggregate_version, scanned_to, resumed, requested_at, touched_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (stream) DO UPDATE SET
    transaction_id = excluded.transaction_id, step = excluded.step, fingerprint = excluded.fingerprint,
    aggregate_version = excluded.aggregate_version, scanned_to = excluded.scanned_to,
    resumed = excluded.resumed, requested_at = excluded.requested_at, touched_at = excluded.touched_at
