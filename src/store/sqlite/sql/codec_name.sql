SELECT name FROM codecs WHERE id = ?1;
