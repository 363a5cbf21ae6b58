INSERT INTO floor (body) VALUES (?1)
