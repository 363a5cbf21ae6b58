SELECT entered.number, entered.state
FROM sidestream_view.begin($1, $2) AS begun, LATERAL sidestream_view.enter($3) AS entered
