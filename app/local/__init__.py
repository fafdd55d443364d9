"""Everything for `demo`, `dev` and the tests: servers and processes on loopback, in one folder."""
