UPDATE sidestream_generation SET is_building = 0 WHERE is_building
