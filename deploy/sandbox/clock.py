"""The sandbox's clock: the wall clock, moved forward by request."""

import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch, `offset` seconds ahead of `wall`."""

    def __init__(self, wall: Callable[[], float] = time.time, offset: float = 0.0) -> None:
        self._wall = wall
        self.offset = offset

    def now(self) -> float:
        """The sandbox's time, in seconds since the epoch."""
        return self._wall() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward. It never goes back: no event is younger than the next."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset += seconds
