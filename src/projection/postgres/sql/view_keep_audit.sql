UPDATE sidestream_view.audit SET generation = $2 WHERE generation = $1
