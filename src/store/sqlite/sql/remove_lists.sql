DELETE FROM lists WHERE first_row > ?1
