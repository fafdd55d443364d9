"""A local Stripe Identity for laptops and tests: `python -m deploy.sandbox --help`.

It speaks HTTP only and imports nothing of the application it serves.
"""
