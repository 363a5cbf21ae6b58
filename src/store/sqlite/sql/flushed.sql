SELECT flushed_row, index_changes FROM meta
