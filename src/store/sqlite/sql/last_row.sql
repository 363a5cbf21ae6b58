SELECT max(row) FROM units
