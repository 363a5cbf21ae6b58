SELECT to_regclass('sidestream_view.migrations') IS NOT NULL AS is_there
