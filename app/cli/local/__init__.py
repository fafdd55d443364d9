"""Servers and processes for `demo`, `dev` and the tests: everything on loopback, in one folder."""
