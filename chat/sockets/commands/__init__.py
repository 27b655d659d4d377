"""Socket commands by noun: each becomes one call of one service or one read. No domain rule lives here."""
