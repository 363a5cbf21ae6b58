SELECT action, cardinal, position, who, why, at FROM sidestream_view.audit
WHERE generation = $1 AND projection = $2 AND version = $3 AND partition = $4
ORDER BY number DESC LIMIT $5
