"""Named points at which a process is killed, or fails; set in it before it begins its role."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from app.domain import reconcile
from app.domain.handlers import handle
from app.ledger import apply
from app.ledger.engine import LedgerUnavailable
from app.ledger.ledger import Ledger
from app.queue.enqueuing import AsyncJobQueue
from app.queue.transitions import JobQueue
from workers import effects

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


def at_enqueue(when: str, die: Die) -> None:
    """The web process' one round trip; without jobs it is a look at Redis, at the start."""
    enqueue_all = AsyncJobQueue.enqueue_all

    async def call(self: AsyncJobQueue, jobs: Any) -> Any:
        if not jobs:
            return await enqueue_all(self, jobs)
        if when == "before":
            die()
        answers = await enqueue_all(self, jobs)
        die()
        return answers

    AsyncJobQueue.enqueue_all = call  # type: ignore[method-assign]


def at_call(owner: object, name: str) -> Callable[[str, Die], None]:
    """Before or after the first call of a class' method or a module's function."""

    def lay_in(when: str, die: Die) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                die()
            answer = function(*arguments, **named)
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
            "complete",
            "retry_later",
            "bury",
            "release",
            "rescue",
            "promote",
            "replay",
            "discard",
        )
    },
    "enqueue": at_enqueue,
    "load": at_call(apply, "load"),
    "statements": at_call(apply, "save"),
    "commit": at_call(Ledger, "apply"),
    "effects": at_call(JobQueue, "enqueue_all"),
    "effect": at_effect,
    "mark": at_call(Ledger, "mark_effects"),
    "enqueued": at_call(Ledger, "mark_enqueued"),
    "note": at_call(Ledger, "record_discarded"),
}


# Faults after which a job is tried again later, buried or released.


def handler_raises(error: Exception) -> Callable[[], None]:
    """Every event's handler fails, in this process only."""

    def lay_in() -> None:
        def fail(change: object) -> Any:
            raise error

        vars(reconcile)["handle"] = fail

    return lay_in


def stopped_in_a_batch() -> None:
    """The batch fails; SIGTERM comes while its first job runs alone."""
    failures = iter([LedgerUnavailable("the ledger does not answer: a test")])

    def stop(change: Any) -> Any:
        for failure in failures:
            raise failure
        os.kill(os.getpid(), signal.SIGTERM)
        return handle(change)

    vars(reconcile)["handle"] = stop


FAULTS: dict[str, Callable[[], None]] = {
    "transient": handler_raises(LedgerUnavailable("the ledger does not answer: a test")),
    "permanent": handler_raises(KeyError("a test")),
    "stop": stopped_in_a_batch,
}
