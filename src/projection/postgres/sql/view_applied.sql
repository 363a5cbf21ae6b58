SELECT step, checksum FROM sidestream_view.migrations ORDER BY step
