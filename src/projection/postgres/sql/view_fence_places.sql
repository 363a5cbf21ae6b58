UPDATE sidestream_view.places SET revision = revision + 1 WHERE generation = $1
