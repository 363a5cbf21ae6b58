UPDATE sidestream_view.generations SET state = $2 WHERE number = $1
