SELECT cardinal, position, event_type, error, attempts, since, waiting FROM sidestream_view.parked
WHERE projection = $1 AND version = $2 AND partition = $3
