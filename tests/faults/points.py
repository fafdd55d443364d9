"""Named points: where a process is killed, or fails, laid into it before it begins its role."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from app.ledger.transaction import Observing
from app.queue.jobs import AsyncJobQueue, JobQueue
from workers import effects, jobs

Die = Callable[[], None]


def lay(point: str, flag: str) -> None:
    """Have this process killed when it first comes to the point; `flag` then says when."""

    def die() -> None:
        with open(flag, "x") as file:  # noqa: PTH123  # nothing between here and the kill
            file.write(repr(time.monotonic()))
        os.kill(os.getpid(), signal.SIGKILL)

    when, _, what = point.partition(" ")
    POINTS[what](when, die)


# Each puts `die` before or after one step.


def at_script(name: str) -> Callable[[str, Die], None]:
    """Before the script is sent, or after Redis has run it and before anyone has its answer."""

    def lay_in(when: str, die: Die) -> None:
        def wrap(run: Any) -> Any:
            def call(self: JobQueue, called: str, *arguments: Any) -> Any:
                if (called, when) == (name, "before"):
                    die()
                answer = run(self, called, *arguments)
                moved = any(answer) if isinstance(answer, list) else answer
                if (called, when) == (name, "after") and moved:
                    die()
                return answer

            return call

        JobQueue._run = wrap(JobQueue._run)  # type: ignore[method-assign]

    return lay_in


def at_accept(when: str, die: Die) -> None:
    """The web process' one round trip."""
    accept = AsyncJobQueue.accept

    async def call(self: AsyncJobQueue, job: Any) -> str:
        if when == "before":
            die()
        answer = await accept(self, job)
        die()
        return answer

    AsyncJobQueue.accept = call  # type: ignore[method-assign]


def at_method(owner: type, name: str) -> Callable[[str, Die], None]:
    """Before or after a method's first call."""

    def lay_in(when: str, die: Die) -> None:
        method = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                die()
            answer = method(*arguments, **named)
            die()
            return answer

        setattr(owner, name, call)

    return lay_in


def at_effect(when: str, die: Die) -> None:
    """Before an effect is done, or after that and before it is marked as done."""
    run = effects.EFFECT_RUNNERS["cancel"]

    def call(*arguments: Any) -> Any:
        if when == "before":
            die()
        outcome = run(*arguments)
        die()
        return outcome

    effects.EFFECT_RUNNERS["cancel"] = call


POINTS: dict[str, Callable[[str, Die], None]] = {
    **{
        name: at_script(name)
        for name in (
            "claim",
            "settle",
            "defer",
            "bury",
            "give_back",
            "release",
            "replay",
            "discard",
        )
    },
    "accept": at_accept,
    "insert": at_method(Observing, "_is_new_event"),
    "statements": at_method(Observing, "apply"),
    "commit": at_method(Ledger, "apply"),
    "effects": at_method(JobQueue, "accept_all"),
    "effect": at_effect,
    "mark": at_method(Ledger, "mark_effect"),
    "enqueued": at_method(Ledger, "mark_enqueued"),
    "note": at_method(Ledger, "note_discarded"),
}


# Faults that bring a job to where it is deferred, buried or given back.


def handler_raises(error: Exception) -> Callable[[], None]:
    """Every event's handler fails, in this process only."""

    def lay_in() -> None:
        def handle(change: object) -> Any:
            raise error

        jobs.handle = handle

    return lay_in


def stopped_in_a_batch() -> None:
    """SIGTERM comes while the first job of the batch runs."""
    handle = jobs.handle

    def stop(change: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return handle(change)

    jobs.handle = stop


FAULTS: dict[str, Callable[[], None]] = {
    "transient": handler_raises(LedgerUnavailable("the ledger does not answer: a test")),
    "permanent": handler_raises(KeyError("a test")),
    "stop": stopped_in_a_batch,
}
