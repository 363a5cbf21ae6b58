SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming';
