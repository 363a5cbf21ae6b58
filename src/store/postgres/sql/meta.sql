SELECT key, value FROM sidestream.meta
