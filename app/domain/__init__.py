"""What Stripe says of sessions, and what follows for a reference. No clock, I/O or randomness."""
