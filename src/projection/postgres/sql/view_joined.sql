SELECT positions FROM sidestream_view.joins WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4
