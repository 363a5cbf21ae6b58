SELECT coalesce(sum(events), 0) FROM balances
