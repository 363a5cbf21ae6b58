SELECT positions FROM sidestream_view.joins WHERE projection = $1 AND version = $2 AND partition = $3
