INSERT INTO balances (account, held_cents, events) VALUES (?1, ?2, 1)
ON CONFLICT (account) DO UPDATE SET held_cents = held_cents + excluded.held_cents, events = events + 1
