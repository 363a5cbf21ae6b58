SELECT id, level, first_row, last_row, entry_blocks, directory_blocks, filter_blocks, keys, newest
FROM runs
ORDER BY last_row
