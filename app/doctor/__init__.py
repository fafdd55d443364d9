"""The doctor: checks of everything that a deployment needs, one file for each group of checks."""
