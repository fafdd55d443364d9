"""Live mode and test mode, by name."""

from __future__ import annotations


def mode_name(livemode: bool) -> str:
    """`live` or `test`: for people, metrics and names in the stores."""
    return "live" if livemode else "test"
