-- The list that holds a position, and those behind it.
SELECT body FROM lists
WHERE type = ?1 AND partition = ?2 AND first_row <= ?4 AND first_position >= coalesce(
    (SELECT max(first_position) FROM lists WHERE type = ?1 AND partition = ?2 AND first_position <= ?3), 0)
ORDER BY first_position
