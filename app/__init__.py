"""Keeps a team's record of each user in step with Stripe Identity."""
