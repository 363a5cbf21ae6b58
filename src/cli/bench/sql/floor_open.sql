-- The settings of the store's own writer.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA cache_size = -65536;
PRAGMA journal_size_limit = 67108864;
PRAGMA foreign_keys = 1;
PRAGMA trusted_schema = 0;
PRAGMA cell_size_check = 1;
PRAGMA mmap_size = 0;
CREATE TABLE floor (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
