SELECT id FROM runs
