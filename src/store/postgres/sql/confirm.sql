SELECT sidestream.confirm()
