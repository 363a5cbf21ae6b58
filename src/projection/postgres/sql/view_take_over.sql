UPDATE sidestream_view.places SET epoch = greatest(epoch, $5), revision = greatest(revision, $6) + 1
WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4
