"""Lengths of time in seconds, and how people write them."""

from __future__ import annotations

import re

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])\Z")


def parse_duration(text: str) -> int | None:
    """The seconds that `90s`, `15m`, `2h` or `3d` mean; None if the text is not of that form."""
    match = _DURATION.match(text)
    return None if match is None else int(match[1]) * UNITS[match[2]]


def format_duration(seconds: float) -> str:
    """The largest whole unit, rounded down: `45s`, `12m`, `3h`, `9d`."""
    unit = next(unit for unit in "dhms" if seconds >= UNITS[unit] or unit == "s")
    return f"{int(seconds / UNITS[unit])}{unit}"
