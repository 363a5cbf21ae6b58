SELECT pg_advisory_xact_lock(hashtextextended('sidestream_view.prepare ' || $2 || ' ' || $1, 0))
