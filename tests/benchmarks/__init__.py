"""The product beside what a team would write instead: `python -m tests.benchmarks`."""
