INSERT INTO balances (partition, account, held_cents, events) VALUES (?1, ?2, ?3, 1)
ON CONFLICT (partition, account) DO UPDATE SET held_cents = held_cents + excluded.held_cents, events = events + 1
