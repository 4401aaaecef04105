"""Where events are kept: in memory for tests, in PostgreSQL for people."""
