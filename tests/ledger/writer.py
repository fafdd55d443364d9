"""Processes that apply observations, all started at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from app.domain.session import Observation
from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from tests.support.ledger import NOW, POLICY

TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class Order:
    """What a process is to do with one database."""

    url: str
    migrates: bool
    task: Sequence[Observation]


@dataclass(frozen=True)
class Written:
    """What one process did."""

    outcomes: list[str]
    effects: list[str]  # the ids given to it
    migrated: list[str]  # the revisions it ran


@dataclass(frozen=True)
class Writers:
    """The near ends of processes that wait for orders."""

    pipes: list[Connection]

    def write(
        self, url: str, tasks: Sequence[Sequence[Observation]], *, migrates: bool = False
    ) -> list[Written]:
        """Apply each of `tasks` in a process of its own, where none of them raises."""
        busy = self.pipes[: len(tasks)]
        for pipe, task in zip(busy, tasks, strict=True):
            pipe.send(Order(url, migrates, task))
            assert _heard(pipe) == "ready"
        for pipe in busy:
            pipe.send("go")
        # All answers first, so that no process is left speaking to nobody.
        answers = [_heard(pipe) for pipe in busy]
        written = [answer for answer in answers if isinstance(answer, Written)]
        assert written == answers
        return written


@contextmanager
def waiting_writers(count: int) -> Iterator[Writers]:
    """Start `count` processes, and end them."""
    # Its children are forks, but of a process that never opened a connection.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    near, far = zip(*(context.Pipe() for _ in range(count)), strict=True)
    processes = [context.Process(target=_obey_all, args=(pipe,)) for pipe in far]
    for process in processes:
        process.start()
    try:
        yield Writers(list(near))
    finally:
        for pipe in (*near, *far):
            pipe.close()
        for process in processes:
            process.join(TIMEOUT)
            process.kill()


def _obey_all(pipe: Connection) -> None:
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_obey(order, pipe))
        except Exception as error:
            pipe.send(repr(error))


def _obey(order: Order, pipe: Connection) -> Written:
    engine = open_engine(order.url)
    ledger = Ledger(engine)
    pipe.send("ready")
    pipe.recv()
    try:
        migrated = migrate.upgrade(engine) if order.migrates else []
        applied = [ledger.apply([one], policy=POLICY, now=NOW)[0] for one in order.task]
    finally:
        ledger.close()
    return Written(
        outcomes=[one.outcome for one in applied],
        effects=[effect.id for one in applied for effect in one.effects],
        migrated=migrated,
    )


def _heard(pipe: Connection) -> object:
    assert pipe.poll(TIMEOUT), "a writer does not answer"
    return pipe.recv()
