"""The store of record: what Stripe has said of each session, and how each reference stands."""
