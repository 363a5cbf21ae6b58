SELECT sidestream.heads($1, $2, array_fill(false, ARRAY[cardinality($2)]))
