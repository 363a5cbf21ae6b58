UPDATE sidestream_view.places SET position = $7, revision = revision + 1, changed_at = $8
WHERE projection = $1 AND version = $2 AND partition = $3 AND epoch = $4 AND revision = $5 AND position = $6
