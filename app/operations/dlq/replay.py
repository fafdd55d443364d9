"""Replay dead letters, or try deferred jobs now: at a bounded rate, and report the outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.batches import batches
from app.ledger.ledger import Ledger
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue

# Letters put back in one round trip, and letters that may wait for their outcome at once.
BATCH_SIZE = 100
MAX_OUTSTANDING = 1_000
# Seconds between checks of what is outstanding: less than workers need for MAX_OUTSTANDING, and
# long enough that each check finds many outcomes.
POLL_INTERVAL = 0.1
# Seconds without any outcome after which no worker seems to run.
STALL_TIMEOUT = 60.0
# Where a job is that has no outcome yet, in RQ's words.
WITHOUT_OUTCOME = {"queued", "started"}


@dataclass
class ReplayProgress:
    """The outcomes of a replay so far."""

    replayed: int = 0
    applied: int = 0  # the reference's standing has changed; of an effect: it is done
    unchanged: int = 0  # in the ledger, without a change of the standing
    failed_again: int = 0
    deferred: int = 0  # failed for a reason that passes with time: tried again later
    waiting: int = 0  # put back, and not yet processed
    stalled: bool = False  # no outcome within STALL_TIMEOUT: the rest was left dead


class Replay:
    """One run of `replay`. It can be interrupted and run again: what is dead is replayed once."""

    def __init__(
        self,
        queue: JobQueue,
        ledger: Ledger,
        *,
        deferred: bool = False,
        rate: float | None = None,
        report: Callable[[ReplayProgress], None] = lambda so_far: None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate` is the maximum of letters a second. `report` is called at each step forward.

        `deferred`: the letters are deferred jobs, which are tried now. `now` gives Unix seconds.
        """
        self.so_far = ReplayProgress()
        self._queue = queue
        self._ledger = ledger
        self._from = "scheduled" if deferred else "failed"
        self._rate = rate
        self.report = report
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._outstanding: dict[str, None] = {}  # as a set that keeps their order
        self._known: set[str] = set()  # those of them that the ledger had before
        self._unanswered: list[str] = []  # those that are being put back

    def run(self, ids: Iterable[str]) -> ReplayProgress:
        """Put the letters of these ids back and wait for their outcomes.

        After any exception, `so_far` holds what was reached.
        """
        self._ledger.ping()  # if the ledger is away, nothing is put back
        try:
            self._put_back(ids)
        except KeyboardInterrupt:
            self._count_unanswered()
            raise
        finally:
            self.so_far.waiting = len(self._outstanding)
        return self.so_far

    def _put_back(self, ids: Iterable[str]) -> None:
        due = self._clock()
        size = BATCH_SIZE if self._rate is None else max(1, min(BATCH_SIZE, int(self._rate)))
        for batch in batches(ids, size):
            self._wait_until_at_most(MAX_OUTSTANDING - len(batch))
            if self.so_far.stalled:
                return
            if self._rate is not None:
                self._count_outcomes()
                self._sleep(max(0.0, due - self._clock()))
                # From now, not from when it was due: time lost to slow workers is not caught up.
                due = self._clock() + len(batch) / self._rate
            # Letters that someone else replayed or discarded meanwhile are not counted.
            found = [id for id, at in self._queue.statuses(batch).items() if at == self._from]
            # These died after their commit: what they changed is not an outcome of this replay.
            self._known |= self._ledger.has_events(found)
            self._unanswered = found
            self.so_far.replayed += self._put_back_batch(found)
            self._outstanding.update(dict.fromkeys(found))
            self._unanswered = []
            self.report(self.so_far)
        self._wait_until_at_most(0)

    def _put_back_batch(self, ids: Sequence[str]) -> int:
        """Returns how many were where they were found."""
        if self._from == "scheduled":
            return self._queue.promote(ids) if ids else 0
        if self._queue.spec.name == EFFECTS.name:  # first, as a worker may be done at once
            self._ledger.mark_replayed(ids, int(self._now()))
        return self._queue.replay(ids)

    def _count_unanswered(self) -> None:
        """A call that was broken off may have put its letters back: Redis knows."""
        statuses = self._queue.statuses(self._unanswered)
        back = {id: None for id, status in statuses.items() if status != self._from}
        self.so_far.replayed += len(back.keys() - self._outstanding.keys())
        self._outstanding |= back

    def _wait_until_at_most(self, outstanding: int) -> None:
        last_outcome = self._clock()
        while len(self._outstanding) > outstanding:
            if self._count_outcomes():
                last_outcome = self._clock()
                self.report(self.so_far)
                if len(self._outstanding) <= outstanding:
                    return
            elif self._clock() - last_outcome > STALL_TIMEOUT:
                self.so_far.stalled = True
                return
            self._sleep(POLL_INTERVAL)

    def _count_outcomes(self) -> int:
        """Count the new outcomes; returns how many there are."""
        statuses = self._begun()
        ended = {id for id, status in statuses.items() if status not in WITHOUT_OUTCOME}
        # A completed job expires after an hour; its status is then None.
        finished = {id for id in ended if statuses[id] in ("finished", None)}
        events = self._queue.spec.name == EVENTS.name
        changed = self._ledger.changed_by(finished) - self._known if events else finished
        self.so_far.applied += len(changed)
        self.so_far.unchanged += len(finished - changed)
        self.so_far.failed_again += sum(statuses[id] == "failed" for id in ended)
        self.so_far.deferred += sum(statuses[id] == "scheduled" for id in ended)
        for id in ended:
            del self._outstanding[id]
        self._known -= ended
        return len(ended)

    def _begun(self) -> dict[str, str | None]:
        """Where those are that may have an outcome: workers take first what was put back first.

        Behind a batch that is all queued, none has one. Where some before a batch have ended and
        none of it has, those behind it are left to the next look.
        """
        statuses: dict[str, str | None] = {}
        some_ended = False
        for batch in batches(self._outstanding, BATCH_SIZE):
            found = self._queue.statuses(batch)
            statuses |= found
            places = set(found.values())
            ended = not places <= WITHOUT_OUTCOME
            if places == {"queued"} or (some_ended and not ended):
                break
            some_ended |= ended
        return statuses
