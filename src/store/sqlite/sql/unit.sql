SELECT partition, position, recorded_at, body FROM units WHERE row = ?1
