"""Socket commands: each becomes one call of one service or query. No domain rule lives here."""
