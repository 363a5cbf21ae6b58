SELECT partition, least FROM closed
