SELECT to_regclass('sidestream.migrations') IS NOT NULL AS is_there
