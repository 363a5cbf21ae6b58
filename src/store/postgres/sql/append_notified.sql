-- As without a notice, and one notice when it commits: how far each partition's log then goes, or nothing where they are
-- too many for one.
SELECT bases, times, elsewhere, stands, CASE WHEN elsewhere IS NULL THEN pg_notify('sidestream',
    CASE WHEN cardinality($1) <= 200 THEN (SELECT string_agg(concat(u.partition, ':', u.base + u.count), ',')
        FROM unnest($1, bases, $2) AS u(partition, base, count) WHERE u.base IS NOT NULL) ELSE '' END) END
FROM sidestream.append(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36)
