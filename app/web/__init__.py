"""The web process: accepts Stripe's deliveries, and serves the team's own backend."""
