INSERT INTO sidestream_view.audit (generation, projection, version, partition, action, cardinal, position, who, why, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
