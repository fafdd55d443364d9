"""Times, ages and numbers as the pages write them."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

from app.domain.durations import DAY, HOUR, MINUTE


def iso(unix: float) -> str:
    """A time for programs: 2026-11-29T14:02:05Z."""
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(unix: float) -> str:
    """A time for people: 2026-11-29 14:02:05 UTC."""
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def age(seconds: float) -> str:
    """A length of time in its two largest units: 4 s, 12 min, 3 h 5 min, 2 d 4 h."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return _two(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _two(whole // DAY, "d", whole % DAY // HOUR, "h")


def number(count: float, one: str = "", many: str = "") -> str:
    """A number with its unit: 1,234 users. `many` is the unit of all but 1, if it differs."""
    unit = one if count == 1 or not many else many
    whole = int(count) if count == int(count) else count
    return f"{whole:,} {unit}".strip()


def with_code(text: str) -> Markup:
    """HTML of a text in which commands stand between backticks, as the command line writes them."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one is open: they are no marks
        return Markup("{}").format(text)
    marked = (
        Markup("<code>{}</code>").format(part) if place % 2 else Markup("{}").format(part)
        for place, part in enumerate(parts)
    )
    return Markup("").join(marked)


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = f" {small} {small_unit}" if small else ""
    return f"{large} {large_unit}{rest}"
