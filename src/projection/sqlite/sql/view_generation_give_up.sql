UPDATE sidestream_generation SET building = NULL WHERE building = ?1
