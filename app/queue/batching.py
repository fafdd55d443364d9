"""A group commit in front of Redis: what comes in during one call goes with the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

from app.domain.errors import QueueUnavailable
from app.queue.model import MAX_BATCH, NewJob

# Jobs that wait for the next call; far more than Redis takes in the time that they may wait.
MAX_WAITING = 1_000
# Seconds a job may wait for its call: Stripe would not wait for an answer much longer.
TURN_TIMEOUT = 10
TOO_SLOW = "Redis is too slow for what comes in"


class TakesBatches(Protocol):
    """What the batcher needs of a queue."""

    async def enqueue_all(self, jobs: Sequence[NewJob]) -> Sequence[str | Exception]:
        """Each job's outcome, or why Redis refused it; at most MAX_BATCH jobs.

        Raises QueueUnavailable if the whole call fails.
        """


@dataclass(slots=True, eq=False)
class Waiter:
    """A job whose sender waits for the outcome."""

    job: NewJob
    outcome: asyncio.Future[str]
    deadline: float  # on the event loop's clock: its call has to begin before

    def answer(self, outcome: str | Exception) -> None:
        """Tell the sender, unless that has gone."""
        if self.outcome.done():
            return
        if isinstance(outcome, str):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


# A job that a call is over for, and what became of it.
Settled = tuple[Waiter, str | Exception]


def answer_all(settled: Sequence[Settled]) -> None:
    """Tell each sender."""
    for waiter, told in settled:
        waiter.answer(told)


class EnqueueBatcher:
    """Enqueues jobs for many senders at once. One call is under way at a time.

    The first job of an idle process is sent at once. The more comes in, the larger the batches, and
    the less each job costs. All of it belongs to one event loop.
    """

    def __init__(
        self,
        queue: TakesBatches,
        report: Callable[[Sequence[tuple[NewJob, str]]], None] = lambda taken: None,
        answer: Callable[[Sequence[Settled]], None] = answer_all,
    ) -> None:
        """`report` is called after each call with the jobs that Redis took, and their outcomes.

        `answer` tells the senders, or sees to it that they are told when it is time.
        """
        self._queue = queue
        self._report = report
        self._answer = answer
        self._waiting: deque[Waiter] = deque()  # the one that came first is first
        self._calls: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, job: NewJob) -> asyncio.Future[str]:
        """`enqueued`, `duplicate` or `replayed`, once Redis has the job; or why it has not.

        It fails with JobRefused or QueueUnavailable; after the latter the job may or may not have
        been taken. Where it is cancelled, the job is left out, or taken if its call is under way.
        Raises QueueUnavailable if too many wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise QueueUnavailable(TOO_SLOW)
        loop = asyncio.get_running_loop()
        waiter = Waiter(job, loop.create_future(), loop.time() + TURN_TIMEOUT)
        self._waiting.append(waiter)
        if self._calls is None:
            # In no context: what is logged of a batch is not of the request that began it.
            self._calls = loop.create_task(self._call_until_none_waits(), context=Context())
        if self._timer is None:
            self._timer = loop.call_at(waiter.deadline, self._refuse_the_late)
        return waiter.outcome

    async def close(self) -> None:
        """Wait until all that was accepted has been sent."""
        if self._calls is not None:
            await asyncio.wait({self._calls})

    async def _call_until_none_waits(self) -> None:
        try:
            while self._waiting:
                await self._call(self._next_batch())
        finally:
            self._calls = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            # Only if this task was cancelled, at the end of the event loop.
            while self._waiting:
                self._waiting.popleft().outcome.cancel()

    def _next_batch(self) -> list[Waiter]:
        """Those who have waited longest; those who have gone are left out."""
        batch: list[Waiter] = []
        while self._waiting and len(batch) < MAX_BATCH:
            waiter = self._waiting.popleft()
            if not waiter.outcome.done():
                batch.append(waiter)
        return batch

    async def _call(self, batch: Sequence[Waiter]) -> None:
        """Send a batch, and answer all of it, whatever happens."""
        if not batch:
            return
        try:
            outcomes = await self._queue.enqueue_all([waiter.job for waiter in batch])
            self._settle(batch, outcomes)
        except Exception as failure:
            for waiter in batch:
                waiter.answer(failure)
        except asyncio.CancelledError:
            for waiter in batch:
                waiter.outcome.cancel()
            raise

    def _settle(self, batch: Sequence[Waiter], outcomes: Sequence[str | Exception]) -> None:
        """Report and answer a batch that Redis has taken. The call is over: the next goes out."""
        settled = list(zip(batch, outcomes, strict=True))
        taken = [(waiter.job, told) for waiter, told in settled if isinstance(told, str)]
        if taken:
            self._report(taken)
        self._answer(settled)

    def _refuse_the_late(self) -> None:
        """Answer those whose call has not begun in time."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0].deadline <= loop.time():
            self._waiting.popleft().answer(QueueUnavailable(TOO_SLOW))
        self._timer = None
        if self._waiting:
            self._timer = loop.call_at(self._waiting[0].deadline, self._refuse_the_late)
