DELETE FROM guarded_rows WHERE partition = ?1 AND space = ?2 AND key = ?3
