INSERT INTO records (
    place, stream, version, kind, first_number, second_number, type, schema, codec,
    transaction_id, step, fingerprint, requester, recorded_at, checksum, payload
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
