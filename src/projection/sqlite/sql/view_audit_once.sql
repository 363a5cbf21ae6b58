INSERT INTO sidestream_audit (projection, version, partition, action, cardinal, position, who, why, at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS (
    SELECT 1 FROM sidestream_audit WHERE projection = ?1 AND version = ?2 AND partition = ?3 AND action = ?4
        AND cardinal = ?5 AND position = ?6 AND who = ?7 AND why = ?8 AND at = ?9)
