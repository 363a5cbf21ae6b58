SELECT positions FROM sidestream_joins WHERE projection = ?1 AND version = ?2 AND partition = ?3
