"""The doctor's checks: one file for each part that may be ill."""
