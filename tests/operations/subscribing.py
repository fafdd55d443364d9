"""A subscriber whose behaviour a test decides."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.notifications import ReferenceChanged

PATH = f"{__name__}:note"
SLOW = f"{__name__}:sleep"

noted: list[ReferenceChanged] = []
errors: list[Exception] = []  # raised one by one
meanwhile: list[Callable[[], None]] = []  # called one by one, before anything is noted


def note(changed: ReferenceChanged) -> None:
    """Note it, unless there is an error to raise."""
    if meanwhile:
        meanwhile.pop(0)()
    if errors:
        raise errors.pop(0)
    noted.append(changed)


def sleep(changed: ReferenceChanged) -> None:
    """Take longer than any job may."""
    time.sleep(60)


def forget() -> None:
    """As if nothing had happened."""
    noted.clear()
    errors.clear()
    meanwhile.clear()
