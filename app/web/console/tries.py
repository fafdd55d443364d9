"""How often a password may be tried: a few times at once, and then slowly.

Counted in each process, by name and over all. A session that is open never waits for it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

# Tries at once, and seconds until there is one more.
OF_A_NAME, NAME_REFILL = 5, 30.0
OF_ALL, ALL_REFILL = 30, 2.0
# Names are told apart by so many buckets: whoever tries decides how many names there are, and a
# name that nobody has must answer as one that somebody has.
BUCKETS = 1024


@dataclass(slots=True)
class _Bucket:
    size: int
    refill: float
    left: float
    at: float

    def wait(self, now: float) -> float:
        """Seconds until a try is left; 0 if one is."""
        self.left = min(self.size, self.left + (now - self.at) / self.refill)
        self.at = now
        return 0.0 if self.left >= 1 else (1 - self.left) * self.refill


class Tries:
    """Counts the tries of this process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` gives seconds."""
        self._monotonic = monotonic
        now = monotonic()
        self._all = _Bucket(OF_ALL, ALL_REFILL, OF_ALL, now)
        self._named = [_Bucket(OF_A_NAME, NAME_REFILL, OF_A_NAME, now) for _ in range(BUCKETS)]
        self._salt = secrets.token_hex(8)

    def take(self, name: str) -> int:
        """Count one try: 0, or the seconds to wait, and then it has not counted."""
        now = self._monotonic()
        bucket = self._bucket(name)
        wait = max(bucket.wait(now), self._all.wait(now))
        if wait == 0:
            bucket.left -= 1
            self._all.left -= 1
        return math.ceil(wait)

    def give_back(self, name: str) -> None:
        """The last try was right."""
        for bucket in (self._bucket(name), self._all):
            bucket.left = min(bucket.size, bucket.left + 1)

    def _bucket(self, name: str) -> _Bucket:
        return self._named[hash((self._salt, name)) % BUCKETS]
