SELECT current_setting('server_version_num')::int4 AS version, pg_is_in_recovery() AS is_standby,
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS is_durable,
    current_setting('synchronous_standby_names') AS standbys,
    current_setting('server_encoding') AS encoding
