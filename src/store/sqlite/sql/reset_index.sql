DELETE FROM runs;
DELETE FROM blocks;
DELETE FROM lists;
UPDATE partitions SET head = 0, time = -9223372036854775808;
UPDATE meta SET flushed_row = 0, index_changes = index_changes + 1;
