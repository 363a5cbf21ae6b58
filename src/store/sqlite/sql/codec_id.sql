SELECT id FROM codecs WHERE name = ?1;
