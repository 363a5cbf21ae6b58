UPDATE sidestream_view.parked SET waiting = waiting + $5
WHERE projection = $1 AND version = $2 AND partition = $3 AND cardinal = $4
