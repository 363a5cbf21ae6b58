-- Of generations that are dropped, those whose tables are still there.
SELECT number FROM sidestream_view.generations
WHERE state = 'dropped' AND to_regnamespace('sidestream_view_' || number) IS NOT NULL
ORDER BY number
