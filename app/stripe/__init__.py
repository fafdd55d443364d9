"""Calls to Stripe, its errors, and its signatures."""
