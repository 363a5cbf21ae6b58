DELETE FROM open_steps WHERE stream = ?1
