"""Whether the workers are paused: `identity queue pause`, or RQ's own `rq suspend`."""

from __future__ import annotations

from redis import Redis

from app.logs import get_logger, iso_time
from app.queue.pausing import Pause, read_pause

log = get_logger("pause")


class Suspension:
    """What one worker, or the clock, knows of a pause."""

    def __init__(self, connection: Redis, worker: str) -> None:
        """`worker` is its name in the log."""
        self._connection = connection
        self._worker = worker
        self.on = False

    def look(self) -> bool:
        """Look whether it has begun or ended since the last look. Raises QueueUnavailable."""
        found = read_pause(self._connection)
        if (found is not None) == self.on:
            return False
        self.on = found is not None
        if found is None:
            log.info("resumed", worker=self._worker)
        else:
            self._say(found)
        return True

    def _say(self, found: Pause) -> None:
        log.warning(
            "paused",
            worker=self._worker,
            reason=found.reason,
            by=found.by,
            since=None if found.since is None else iso_time(found.since),
            until=None if found.until is None else iso_time(found.until),
        )
