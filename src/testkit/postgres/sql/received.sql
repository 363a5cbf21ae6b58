-- In bytes. What was replayed counts too: a standby that was started again may not have received anything yet.
SELECT trunc(greatest(
    coalesce(pg_last_wal_receive_lsn(), '0/0'),
    coalesce(pg_last_wal_replay_lsn(), '0/0')
) - '0/0'::pg_lsn);
