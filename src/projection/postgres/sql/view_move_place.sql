UPDATE sidestream_view.places SET position = $8, revision = revision + 1, changed_at = $9
WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4 AND epoch = $5 AND revision = $6 AND position = $7
