DELETE FROM open_steps
