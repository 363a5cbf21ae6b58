-- Two at once: the second one waits for the first one's row, and adds none.
INSERT INTO sidestream_view.generations (number, state)
SELECT max(number) + 1, 'building' FROM sidestream_view.generations HAVING NOT bool_or(state = 'building')
ON CONFLICT DO NOTHING
RETURNING number
