"""Replay dead letters: at a bounded rate, in flat memory, and tell what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.ledger.ledger import Ledger
from app.operations.batches import batches
from app.queue.dead_letters import DeadLetter
from app.queue.jobs import JobQueue

# Letters put back in one round trip, and those whose outcome is waited for at once.
AT_ONCE = 100
OUTSTANDING = 1_000
# Seconds between two looks at what is outstanding.
LOOK_EVERY = 0.2
# Seconds without any outcome after which no worker seems to run.
STALLED = 60.0


@dataclass
class Replayed:
    """What came of a replay, so far."""

    replayed: int = 0
    applied: int = 0  # the reference stands otherwise now
    unchanged: int = 0  # in the ledger, and nothing changed by it
    failed_again: int = 0
    deferred: int = 0  # failed by what time mends: tried again by itself
    waiting: int = 0  # no worker has come to it


class Replay:
    """One run of `replay`. It can be broken off and run again: what is dead is replayed once."""

    def __init__(
        self,
        queue: JobQueue,
        ledger: Ledger,
        *,
        rate: float | None = None,
        tell: Callable[[Replayed], None] = lambda so_far: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate` is in letters a second at most. `tell` hears of each step forward."""
        self.so_far = Replayed()
        self._queue = queue
        self._ledger = ledger
        self._rate = rate
        self.tell = tell
        self._clock = clock
        self._sleep = sleep
        self._outstanding: set[str] = set()

    def run(self, letters: Iterable[DeadLetter]) -> Replayed:
        """Put the letters back and wait for what comes of them."""
        began = self._clock()
        at_once = AT_ONCE if self._rate is None else max(1, min(AT_ONCE, int(self._rate)))
        for batch in batches((letter.id for letter in letters), at_once):
            self._wait_until_at_most(OUTSTANDING - len(batch))
            if self._rate is not None:
                due = began + self.so_far.replayed / self._rate
                self._sleep(max(0.0, due - self._clock()))
            self.so_far.replayed += self._queue.replay(batch)
            self._outstanding.update(batch)
            self.tell(self.so_far)
        self._wait_until_at_most(0)
        self.so_far.waiting = len(self._outstanding)
        return self.so_far

    def _wait_until_at_most(self, outstanding: int) -> None:
        moved = self._clock()
        while len(self._outstanding) > outstanding:
            if self._look():
                moved = self._clock()
                self.tell(self.so_far)
            elif self._clock() - moved > STALLED:
                return
            else:
                self._sleep(LOOK_EVERY)

    def _look(self) -> int:
        """Count what has come to an outcome; returns how many have."""
        statuses = self._queue.statuses(sorted(self._outstanding))
        ended = {id for id, status in statuses.items() if status not in ("queued", "started")}
        # A settled job is forgotten after an hour; None is one of those.
        finished = {id for id in ended if statuses[id] in ("finished", None)}
        changed = self._ledger.changed_by(finished)
        self.so_far.applied += len(changed)
        self.so_far.unchanged += len(finished - changed)
        self.so_far.failed_again += sum(statuses[id] == "failed" for id in ended)
        self.so_far.deferred += sum(statuses[id] == "scheduled" for id in ended)
        self._outstanding -= ended
        return len(ended)
