SELECT number, state FROM sidestream_view.generations WHERE state <> 'dropped' ORDER BY number
