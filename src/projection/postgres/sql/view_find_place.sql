SELECT store, epoch, revision, position FROM sidestream_view.places
WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4
