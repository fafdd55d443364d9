"""Waits until what Redis has taken is as safe as DURABILITY asks, before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from redis import asyncio as redis_asyncio
from redis.exceptions import ResponseError
from rq.job import Job

from app.domain.errors import QueueUnavailable, StoreFailure
from app.logs import get_logger
from app.queue.batching import TOO_SLOW, Settled, answer_all
from app.queue.connection import SOCKET_TIMEOUT, translated_call
from app.queue.durability import MEMORY, MEMORY_PROMISE, QUESTIONS, Promise, keeping_of, promise
from app.queue.serving import connections_made

log = get_logger("durability")

# Seconds that a sync, or a replica, is waited for: a busy disk puts it off for two, and two waits
# one after the other still fit into the time that Stripe waits for an answer.
WAIT_TIMEOUT = 4.0
# Seconds after which a server is asked anew how it keeps things: it can be changed while it runs.
LOOK_INTERVAL = 30.0
# Jobs that are waited for; a full web process has as many connections.
MAX_HELD = 10_000
# A write to wait for: WAITAOF and WAIT cover what their own client wrote last, and all before it.
WRITE = ("SET", "identity:waited", 1)


class Durability:
    """What a 200 promises now, and the waits for it. It belongs to one event loop."""

    def __init__(self, asked: str, calls: redis_asyncio.Redis, waits: redis_asyncio.Redis) -> None:
        """`asked` is DURABILITY. `calls` is the client that enqueues; `waits` may block."""
        self._asked = asked
        self._calls = calls
        self._waits = waits
        self._promise: Promise | None = None
        self._said: Promise | None = None  # in the log
        self._known_for = 0  # the connection of `calls` that it was asked over
        self._until = 0.0  # on the event loop's clock

    def at_once(self) -> bool:
        """Whether what Redis has taken can be answered at once."""
        if self._asked == MEMORY:
            return True
        known = self._current()
        return known is not None and not known.waits

    async def announce(self) -> None:
        """Say in the log what a 200 means, as soon as Redis answers."""
        if self._asked == MEMORY:
            self._say(MEMORY_PROMISE)
            return
        try:
            await self.look()
        except StoreFailure as away:
            log.warning("durability is not known yet", durability=self._asked, error=str(away))

    async def close(self) -> None:
        """Close the connection that waits."""
        await self._waits.aclose()

    async def confirm(self, ids: Sequence[str]) -> None:
        """Wait until these jobs, which Redis has taken, are as safe as was asked.

        Raises QueueUnavailable if they are not in time, or Redis has lost one of them.
        """
        known = self._current() or await self.look()
        # The server that waits may not be the one that took them, or may have been restarted since:
        # it is asked whether it has them, before the wait.
        commands: list[Any] = [("EXISTS", *(Job.redis_job_namespace_prefix + id for id in ids))]
        if known.waits:
            commands.append(WRITE)
        if known.wait_replica:
            commands.append(("WAIT", 1, int(WAIT_TIMEOUT * 1000)))
        if known.wait_disk:
            commands.append(("WAITAOF", 1, 0, int(WAIT_TIMEOUT * 1000)))
        try:
            answers = await self._ask_at_once(commands)
            _judge(known, len(ids), answers)
        except StoreFailure:
            # Perhaps the other server is the primary now, or this one was set to keep less.
            self._promise = None
            await self._waits.connection_pool.disconnect()
            raise

    async def look(self) -> Promise:
        """Ask the server that takes the jobs, and say it in the log if it has changed.

        Raises QueueUnavailable.
        """
        made = connections_made(self._calls)
        found = promise(self._asked, keeping_of([await self._ask(one) for one in QUESTIONS]))
        if found != self._said:
            self._said = found
            self._say(found)
        self._promise = found
        self._known_for = max(made, 1)  # the first question has made the first connection
        self._until = asyncio.get_running_loop().time() + LOOK_INTERVAL
        return found

    def _say(self, found: Promise) -> None:
        said = {"durability": self._asked, "promise": found.message, "loss": found.loss}
        if found.loss:
            log.warning("durability", **said)
        else:
            log.info("durability", **said)

    def _current(self) -> Promise | None:
        """The promise, unless it is another server's, or too old."""
        if connections_made(self._calls) != self._known_for:
            return None
        return self._promise if asyncio.get_running_loop().time() < self._until else None

    async def _ask(self, question: Sequence[Any]) -> Any:
        async with translated_call(self._calls):
            try:
                return await self._calls.execute_command(*question)
            except ResponseError as refusal:
                return refusal

    async def _ask_at_once(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        async with translated_call(self._waits, SOCKET_TIMEOUT + WAIT_TIMEOUT):
            pipeline = self._waits.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, ResponseError):
                    raise QueueUnavailable(f"Redis refuses to wait: {str(answer)[:80]}")
        return answers


def _judge(known: Promise, count: int, answers: Sequence[Any]) -> None:
    """Raises QueueUnavailable unless all jobs are there, and every wait was for something."""
    found, *waited = answers
    if found < count:
        raise QueueUnavailable("Redis has lost what it had taken: it was restarted, or failed over")
    if known.wait_disk and not waited.pop()[0]:
        raise QueueUnavailable(f"not on the disk of Redis within {WAIT_TIMEOUT:g} s")
    if known.wait_replica and not waited.pop():
        raise QueueUnavailable(f"at no replica of Redis within {WAIT_TIMEOUT:g} s")


class Confirms(Protocol):
    """What the confirmer needs of a durability."""

    def at_once(self) -> bool:
        """Whether there is nothing to wait for."""

    async def confirm(self, ids: Sequence[str]) -> None:
        """Wait until these jobs are safe. Raises QueueUnavailable."""


class Confirmer:
    """Answers jobs that Redis has taken, by waits that all share. One wait is under way at a time.

    Enqueuing never waits for it: what is taken during one wait is covered by the next.
    """

    def __init__(self, durability: Confirms) -> None:
        """`durability` says what is waited for."""
        self._durability = durability
        self._held: list[Settled] = []
        self._waits: asyncio.Task[None] | None = None

    def answer(self, settled: Sequence[Settled]) -> None:
        """Answer these at once if they are safe already, else after a wait that is yet to begin."""
        if self._durability.at_once():
            answer_all(settled)
            return
        for waiter, told in settled:
            if isinstance(told, Exception) or len(self._held) >= MAX_HELD:
                waiter.answer(told if isinstance(told, Exception) else QueueUnavailable(TOO_SLOW))
            else:
                self._held.append((waiter, told))
        if self._held and self._waits is None:
            self._waits = asyncio.get_running_loop().create_task(self._wait_until_none_is_held())

    async def close(self) -> None:
        """Wait until all are answered."""
        if self._waits is not None:
            await asyncio.wait({self._waits})

    async def _wait_until_none_is_held(self) -> None:
        begun: list[Settled] = []
        try:
            while self._held:
                begun, self._held = self._held, []
                await self._wait(begun)
        finally:
            self._waits = None
            # Only if this task was cancelled, at the end of the event loop.
            for waiter, _ in [*begun, *self._held]:
                waiter.outcome.cancel()
            self._held = []

    async def _wait(self, begun: Sequence[Settled]) -> None:
        try:
            await self._durability.confirm([waiter.job.id for waiter, _ in begun])
        except Exception as failure:
            for waiter, _ in begun:
                waiter.answer(failure)
        else:
            answer_all(begun)
