UPDATE meta SET index_changes = index_changes + 1
