DELETE FROM sidestream_view.parked
WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4 AND cardinal = $5
