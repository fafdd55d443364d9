"""`GET /metrics`: what Redis and the ledger hold, in a time that does not grow with it."""
