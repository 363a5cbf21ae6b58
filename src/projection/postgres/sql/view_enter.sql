SELECT number, state FROM sidestream_view.enter($1)
