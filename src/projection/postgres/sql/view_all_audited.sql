SELECT action, cardinal, position, who, why, at FROM sidestream_view.audit
WHERE projection = $1 AND version = $2 AND partition = $3
ORDER BY number DESC LIMIT $4
