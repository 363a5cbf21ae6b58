-- A batch is of one partition: with that in front, the rows that it writes lie next to each other.
CREATE TABLE IF NOT EXISTS balances (
    partition INTEGER NOT NULL,
    account TEXT NOT NULL,
    held_cents INTEGER NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (partition, account)
) STRICT, WITHOUT ROWID;
