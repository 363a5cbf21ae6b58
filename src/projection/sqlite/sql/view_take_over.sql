UPDATE sidestream_places SET epoch = max(epoch, ?4), revision = max(revision, ?5) + 1
WHERE projection = ?1 AND version = ?2 AND partition = ?3
