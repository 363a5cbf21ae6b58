SELECT sidestream_view.begin($1, $2)
