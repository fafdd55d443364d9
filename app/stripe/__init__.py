"""Everything we say to Stripe, and how we check what it says to us."""
