SELECT pg_advisory_xact_lock(hashtextextended('sidestream_view.prepare ' || $1, 0))
