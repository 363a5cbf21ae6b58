UPDATE sidestream_generation SET successor = ?1, building = NULL
