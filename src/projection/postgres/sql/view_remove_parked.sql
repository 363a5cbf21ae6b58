DELETE FROM sidestream_view.parked
WHERE projection = $1 AND version = $2 AND partition = $3 AND cardinal = $4
