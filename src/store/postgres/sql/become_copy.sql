SELECT sidestream.become_copy($1)
