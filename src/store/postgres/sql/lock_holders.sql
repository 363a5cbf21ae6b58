-- Who has locked rows of the counters, the longest first. Prepared transactions have no process.
SELECT coalesce('process ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'no name') || ', '
        || coalesce(a.state, 'unknown state') || ', for '
        || round(extract(epoch FROM clock_timestamp() - a.xact_start)) || ' s)',
    'a prepared transaction: see pg_prepared_xacts') AS holder
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.relation = 'sidestream.partitions'::regclass AND l.mode IN ('RowShareLock', 'RowExclusiveLock', 'ExclusiveLock')
    AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY a.xact_start NULLS FIRST LIMIT 3
