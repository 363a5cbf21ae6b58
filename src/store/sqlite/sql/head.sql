SELECT version FROM records WHERE stream = ?1 ORDER BY version DESC LIMIT 1
