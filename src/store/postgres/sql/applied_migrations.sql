SELECT step, checksum FROM sidestream.migrations ORDER BY step
