SELECT count(*)
FROM pg_stat_replication
WHERE state = 'streaming' AND sync_state = 'quorum' AND replay_lsn >= :'flushed'::pg_lsn;
