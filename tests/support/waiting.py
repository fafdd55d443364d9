"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_INTERVAL = 0.02  # seconds


def eventually(look: Callable[[], T], seconds: float = 15.0, what: str = "it") -> T:
    """What `look` gives, as soon as that is true; the test fails if it is not true in time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(POLL_INTERVAL)
    return seen
