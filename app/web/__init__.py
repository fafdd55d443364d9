"""The web process: takes Stripe's deliveries in, and answers the team's own backend."""
