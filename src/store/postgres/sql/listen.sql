LISTEN sidestream
