CREATE SCHEMA sidestream_view_?1
