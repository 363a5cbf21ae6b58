SELECT state FROM sidestream_view.generations WHERE number = $1
