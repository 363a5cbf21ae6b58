SELECT r.* FROM (
    SELECT partition, version, recorded_at, number_1, number_2, checksum, kind, schema, is_effect, key, stream, type,
        codec, step, fingerprint, requester, payload, position
    FROM sidestream.log WHERE partition = $1 AND transaction = $2 ORDER BY position DESC LIMIT 3
) r ORDER BY r.position
