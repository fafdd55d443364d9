"""A worker's batches: while one runs, the next is claimed and the last completed, if many wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from app.queue.counts import kind_of
from app.queue.model import Call, Claimed
from app.queue.transitions import JobQueue


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs under one lease."""

    jobs: list[Claimed]
    token: str
    claimed_at: float  # on the worker's clock, just before Redis was asked

    @property
    def ids(self) -> list[str]:
        """The ids of its jobs, in their order."""
        return [job.id for job in self.jobs]


class Lookahead:
    """Claims and completes batches. One thread talks to Redis while the worker's own runs jobs.

    Every method raises QueueUnavailable, also for a call that was made ahead and has failed since.
    A claim without an answer is made again, by its own token, as soon as Redis answers; all else
    that Redis was told, or was not, then ends with the leases.
    """

    def __init__(
        self,
        queue: JobQueue,
        *,
        lease: int,
        token: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lease` is in seconds; `token` names one."""
        self._queue = queue
        self._lease = lease
        self._token = token
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "lookahead")
        self._ahead: Future[Batch] | None = None
        self._completing: Future[int] | None = None
        # The token of a claim that has not been answered, and when it was made first.
        self._unanswered: tuple[str, float] | None = None

    def next_batch(self) -> Batch:
        """The batch that was claimed ahead, or else whatever is queued now, which may be nothing.

        A full batch has the next one claimed meanwhile: more wait than one transaction takes.
        """
        batch = self._take_ahead() or self._in_time(self._claim(True)) or self._claim(True)
        # An effect waits for other people's servers: others must not wait behind it.
        if len(batch.jobs) == self._queue.spec.batch > 1:
            self._ahead = self._thread.submit(self._claim)
        return batch

    def complete(self, token: str, calls: Sequence[tuple[Claimed, Call]]) -> None:
        """Complete jobs whose work is committed: at once, or while the next batch runs."""
        before, self._completing = self._completing, None
        ids, kinds = [job.id for job, _ in calls], [kind_of(call) for _, call in calls]
        if self._ahead is None:
            self._queue.complete(token, ids, kinds)
        else:
            self._completing = self._thread.submit(self._queue.complete, token, ids, kinds)
        if before is not None:
            before.result()

    def release(self) -> None:
        """Give back what was claimed and not begun, and see the last completion through."""
        ahead, self._ahead = self._ahead, None
        completing, self._completing = self._completing, None
        if ahead is not None and ahead.exception() is None:
            self._give_back(ahead.result())
        if self._unanswered is not None:
            self._give_back(self._claim())
        if completing is not None:
            completing.result()

    def _take_ahead(self) -> Batch | None:
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        batch = ahead.result()
        # Where it found nothing it has not said that we wait: the next claim does.
        return self._in_time(batch) if batch.jobs else None

    def _in_time(self, batch: Batch) -> Batch | None:
        """The batch, or None if its lease is too far gone to begin it: then it is given back."""
        # Half of the lease is what a batch may need: one that has waited longer might lose it.
        if self._clock() <= batch.claimed_at + self._lease / 2:
            return batch
        self._give_back(batch)
        return None

    def _give_back(self, batch: Batch) -> None:
        self._queue.release(batch.token, batch.ids)

    def _claim(self, waits: bool = False) -> Batch:
        """`waits` if it finds nothing: the worker."""
        self._unanswered = token, made_at = self._unanswered or (self._token(), self._clock())
        jobs = self._queue.claim(token, self._lease, self._queue.spec.batch, waits=waits)
        self._unanswered = None
        return Batch(jobs, token, made_at)
