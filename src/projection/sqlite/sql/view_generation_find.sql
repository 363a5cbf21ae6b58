SELECT number, is_building, building, successor FROM sidestream_generation
