"""What a 200 promises: what DURABILITY asks for, and what of it the server of the queue can do.

Redis answers from memory. Under `appendfsync always` it has written and synced its append-only file
by then; under `everysec` it does so each second or two, and WAITAOF says when. A replica follows a
moment later, and WAIT says when: https://redis.io/docs/latest/commands/waitaof/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from app.queue.connection import translated_errors

DISK, REPLICA, MEMORY = "disk", "replica", "memory"

# What a server is asked to know how it keeps things. The waits are for nothing, and so end at once:
# a server before 7.2 does not know WAITAOF, and a user may be denied either.
QUESTIONS: tuple[tuple[Any, ...], ...] = (
    ("INFO", "persistence"),
    ("CONFIG GET", "appendfsync"),
    ("WAITAOF", 0, 0, 1),
    ("WAIT", 0, 1),
)
HEALED = (
    "the clock's backfill brings it back within minutes, and without STRIPE_API_KEY nothing does"
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a server keeps what it takes."""

    append_only: bool | None  # None: it does not say
    fsync: str | None  # its appendfsync; None: it does not say
    knows_waitaof: bool
    replicas: int | None  # that are connected; None: it does not let us wait for one


@dataclass(frozen=True, slots=True)
class Promise:
    """What a 200 means."""

    message: str  # for people
    wait_disk: bool = False  # WAITAOF, before the 200
    wait_replica: bool = False  # WAIT, before the 200
    loss: str = ""  # what may be lost though DURABILITY asks otherwise, by what, and what heals it

    @property
    def waits(self) -> bool:
        """Whether anything is waited for."""
        return self.wait_disk or self.wait_replica


def keeping_of(answers: Sequence[Any]) -> Keeping:
    """What the answers to QUESTIONS say; each may be the error that the server answered."""
    info, config, waitaof, wait = answers
    return Keeping(
        append_only=bool(info.get("aof_enabled")) if isinstance(info, Mapping) else None,
        fsync=config.get("appendfsync") if isinstance(config, Mapping) else None,
        knows_waitaof=not isinstance(waitaof, ResponseError),
        replicas=wait if isinstance(wait, int) else None,
    )


def read_keeping(redis: Redis) -> Keeping:
    """Ask a server how it keeps things. Raises QueueUnavailable."""
    with translated_errors():
        return keeping_of([_answer(redis, question) for question in QUESTIONS])


def _answer(redis: Redis, question: tuple[Any, ...]) -> Any:
    try:
        return redis.execute_command(*question)
    except ResponseError as refusal:
        return refusal


def promise(durability: str, keeping: Keeping) -> Promise:
    """What a 200 means under this DURABILITY, at a server that keeps things so."""
    if durability == MEMORY:
        return MEMORY_PROMISE
    losses = [_loss_of_disk(keeping)]
    wait_disk = not losses[0] and keeping.fsync != "always"
    if losses[0]:
        message = "a 200 means in the memory of Redis"
    elif wait_disk:
        message = "a 200 means on the disk of Redis, whose next sync it waits for"
    else:
        message = "a 200 means on the disk of Redis (appendfsync always)"
    wait_replica = durability == REPLICA and keeping.replicas is not None
    if wait_replica:
        message += ", and at a replica"
    elif durability == REPLICA:
        losses.append("Redis refuses WAIT: a failover may lose the last seconds")
    lost = "; ".join(loss for loss in losses if loss)
    return Promise(message, wait_disk, wait_replica, f"{lost}; {HEALED}" if lost else "")


MEMORY_PROMISE = Promise(
    "a 200 means in the memory of Redis (DURABILITY=memory): a crash may lose the last seconds"
)


def _loss_of_disk(keeping: Keeping) -> str:
    """What may be lost though each 200 should be on disk; "" if nothing."""
    if keeping.append_only is None:
        return "Redis refuses INFO, so nobody knows what a crash of it may lose"
    if not keeping.append_only:
        return "Redis has no append-only file: a crash may lose all since its last snapshot"
    if keeping.fsync == "no":
        return "appendfsync is `no`: a crash of Redis' host may lose the last half minute"
    if keeping.fsync != "always" and not keeping.knows_waitaof:
        return "Redis has no WAITAOF (it came with 7.2): a crash may lose the last two seconds"
    return ""
