INSERT INTO codecs (name) VALUES (?1) RETURNING id;
