UPDATE sidestream_generation SET last = last + 1, building = last + 1
WHERE building IS NULL AND successor IS NULL
