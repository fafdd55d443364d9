"""How often something may happen: so many at once, and then so many a second."""

from __future__ import annotations

from collections.abc import Callable


class Allowance:
    """A token bucket, for all callers of this process."""

    def __init__(self, burst: int, rate: float, monotonic: Callable[[], float]) -> None:
        """`rate` is how many more there are a second; `monotonic` gives seconds."""
        self._burst = burst
        self._rate = rate
        self._monotonic = monotonic
        self._left = float(burst)
        self._at = monotonic()

    def allows(self) -> bool:
        """Whether one more is within the limit; it counts."""
        now = self._monotonic()
        self._left = min(self._burst, self._left + self._rate * (now - self._at))
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
