UPDATE sidestream_view.parked SET waiting = waiting + $6
WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4 AND cardinal = $5
