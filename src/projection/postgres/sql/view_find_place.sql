SELECT store, epoch, revision, position FROM sidestream_view.places
WHERE projection = $1 AND version = $2 AND partition = $3
