SELECT action, cardinal, position, who, why, at FROM sidestream_audit
WHERE projection = ?1 AND version = ?2 AND partition = ?3
ORDER BY at DESC, number DESC LIMIT ?4
