"""A batch of events is applied in one transaction; if that fails, they are run one by one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Engine, event

from app.domain import reconcile
from app.domain.errors import Permanent, Transient
from app.domain.handlers import handle
from app.domain.snapshot import SessionKey
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS, Call, NewJob
from app.queue.transitions import JobQueue
from app.stores import open_stores
from tests.support.events import OPENED
from tests.support.ledger import count_events
from tests.support.places import STARTED, counts, end_lease, everything, field, place, queued
from tests.support.workers import NOW, event_job, worker_of
from workers.context import Context

FIVE = [f"evt_{number}" for number in range(5)]

Poison = Callable[[str, Callable[[], object]], None]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Has something done in the transaction whenever an event of this session is applied."""

    def poison(session: str, does: Callable[[], object]) -> None:
        def poisoned(change: Any) -> Any:
            if change.session.id == session:
                does()
            return handle(change)

        monkeypatch.setitem(vars(reconcile), "handle", poisoned)

    return poison


def raises(error: Exception) -> Callable[[], object]:
    """Fails, at every call."""

    def does() -> None:
        raise error

    return does


def verified(id: str) -> NewJob:
    """The event that verifies a user of its own: `evt_1` is of `vs_1` and `user-1`."""
    number = id.removeprefix("evt_")
    return event_job(id, "verified", "verified", session=f"vs_{number}", reference=f"user-{number}")


def enqueue(context: Context, *ids: str) -> None:
    context.stores.events.enqueue_all([verified(id) for id in ids])


def applied(context: Context) -> set[str]:
    """The events whose users are verified, each by one change."""
    found = set()
    for id in FIVE:
        record = context.stores.ledger.read_reference(f"user-{id[4:]}", livemode=False)
        if record is not None:
            assert record.standing.status == "verified"
            assert len(record.timeline) == 1
            found.add(id)
    return found


def places(redis: Redis) -> dict[str, str]:
    return {id: place(redis, id) for id in FIVE}


def all_finished_but(id: str, at: str) -> dict[str, str]:
    return {each: at if each == id else "finished" for each in FIVE}


@contextmanager
def transactions(engine: Engine) -> Iterator[list[str]]:
    """How each of the transactions that begin meanwhile ended."""
    ends: list[str] = []

    def commits(connection: object) -> None:
        ends.append("commit")

    def rolls_back(connection: object) -> None:
        ends.append("rollback")

    listeners = (("commit", commits), ("rollback", rolls_back))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    yield ends
    for name, listener in listeners:
        event.remove(engine, name, listener)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that are run, by name."""
    names: list[str] = []
    run = JobQueue._run

    def watched(self: JobQueue, name: str, *arguments: Any) -> Any:
        names.append(name)
        return run(self, name, *arguments)

    monkeypatch.setattr(JobQueue, "_run", watched)
    return names


def test_a_batch_is_one_transaction_and_is_completed_by_one_script(
    context: Context, redis: Redis, scripts: list[str]
) -> None:
    enqueue(context, *FIVE)
    scripts.clear()  # from here on, the worker's
    worker = worker_of(redis, context)
    with transactions(context.stores.engine) as ends:
        assert worker.run_once() == 5
    assert ends == ["commit"]
    assert scripts == ["claim", "complete"]
    assert applied(context) == set(FIVE)
    assert set(places(redis).values()) == {"finished"}


def test_a_batch_is_of_so_many_events_as_the_settings_say(context: Context, redis: Redis) -> None:
    stores = open_stores(replace(context.stores.settings, batch=2))
    enqueue(context, *FIVE)
    with closing(stores):
        assert worker_of(redis, context, queue=stores.events).run_once() == 2


def test_a_permanent_failure_of_one_event_buries_that_one_alone(
    context: Context, redis: Redis, poison: Poison
) -> None:
    enqueue(context, *FIVE)
    poison("vs_2", raises(Permanent("will not do")))
    assert worker_of(redis, context).run_once() == 5
    assert places(redis) == all_finished_but("evt_2", "failed")
    assert applied(context) == {*FIVE} - {"evt_2"}
    (letter,) = DeadLetters(redis, EVENTS)
    assert (letter.reason, letter.error, letter.attempts) == ("permanent_error", "will not do", 1)


def test_a_transient_failure_of_one_event_defers_that_one_alone(
    context: Context, redis: Redis, poison: Poison
) -> None:
    enqueue(context, *FIVE)
    poison("vs_2", raises(Transient("out of reach")))
    assert worker_of(redis, context).run_once() == 5
    assert places(redis) == all_finished_but("evt_2", "scheduled")
    assert field(redis, "evt_2", "attempts") == "1"
    assert applied(context) == {*FIVE} - {"evt_2"}


def test_a_failure_of_the_batch_alone_is_no_events_attempt(
    context: Context, redis: Redis, poison: Poison
) -> None:
    enqueue(context, *FIVE)
    failures = iter([Transient("passes at once")])

    def fails_once() -> None:
        for failure in failures:
            raise failure

    poison("vs_2", fails_once)
    with transactions(context.stores.engine) as ends:
        assert worker_of(redis, context).run_once() == 5
    assert ends == ["rollback", *["commit"] * 5]
    assert set(places(redis).values()) == {"finished"}
    assert applied(context) == set(FIVE)


def test_a_job_that_cannot_be_read_is_buried_and_holds_up_no_other(
    context: Context, redis: Redis
) -> None:
    enqueue(context, *FIVE)
    redis.hset("rq:job:evt_2", "data", "no call")
    with transactions(context.stores.engine) as ends:
        assert worker_of(redis, context).run_once() == 5
    assert ends == ["commit"]
    assert places(redis) == all_finished_but("evt_2", "failed")
    assert applied(context) == {*FIVE} - {"evt_2"}


def test_an_event_of_two_batches_is_applied_once(context: Context, redis: Redis) -> None:
    enqueue(context, *FIVE[:4])
    worker_of(redis, context).run_once()
    redis.flushall()  # Redis has lost its memory, and with it the cheap duplicates
    enqueue(context, *FIVE[2:])
    assert worker_of(redis, context).run_once() == 3
    assert applied(context) == set(FIVE)
    assert count_events(context.stores.engine) == 5


@pytest.mark.parametrize("slow", [FIVE[0], FIVE[-1]])
def test_a_batch_over_its_time_is_run_one_by_one_and_only_the_slow_one_is_deferred(
    context: Context, redis: Redis, poison: Poison, slow: str
) -> None:
    enqueue(context, *FIVE)
    poison(f"vs_{slow[4:]}", lambda: time.sleep(10))
    # A lease of two seconds leaves half a second for a batch, and one for a job.
    worker = worker_of(redis, context, lease=2)
    began = time.monotonic()
    while counts(context.stores.events)["queued"]:
        worker.run_once()
        assert time.monotonic() - began < 9
    assert places(redis) == all_finished_but(slow, "scheduled")
    assert (field(redis, slow, "attempts"), field(redis, slow, "error_class")) == (
        "1",
        "JobTimeoutException",
    )
    assert applied(context) == {*FIVE} - {slow}


def test_a_batch_over_its_time_leaves_time_for_one_of_its_jobs_under_its_lease(
    context: Context, redis: Redis, poison: Poison
) -> None:
    """Else the same batch would be claimed, and fail, for ever."""
    enqueue(context, *FIVE)
    poison("vs_0", lambda: time.sleep(10))
    limits: list[float] = []
    worker = worker_of(redis, context, lease=2, progress=limits.append)
    assert worker.run_once() == 1
    assert limits == [0.5, 0, 1, 0]
    assert place(redis, "evt_0") == "scheduled"
    assert queued(redis) == FIVE[1:]
    assert worker.run_once() == 4
    assert applied(context) == {*FIVE[1:]}


def test_a_batch_may_take_half_the_time_of_a_job(redis: Redis, context: Context) -> None:
    found = [worker_of(redis, context, lease=lease).batch_limit for lease in (2, 10, 60, 3600)]
    assert found == [0.5, 2.5, 10, 10]


def test_a_stop_signal_in_the_middle_of_a_batch_lets_it_finish(
    context: Context, redis: Redis, poison: Poison
) -> None:
    enqueue(context, *FIVE)
    worker = worker_of(redis, context)
    poison("vs_2", lambda: worker.request_stop(signal.SIGTERM, None))
    assert worker.run_once() == 5
    assert set(places(redis).values()) == {"finished"}
    assert applied(context) == set(FIVE)


def test_a_stop_signal_before_the_jobs_are_run_one_by_one_releases_them_all(
    context: Context, redis: Redis, poison: Poison
) -> None:
    enqueue(context, *FIVE)
    worker = worker_of(redis, context)

    def stop_and_fail() -> None:
        worker.request_stop(signal.SIGTERM, None)
        raise Permanent("will not do")

    poison("vs_2", stop_and_fail)
    assert worker.run_once() == 0
    assert queued(redis) == FIVE
    assert redis.zcard(STARTED) == 0
    assert {field(redis, id, "attempts") for id in FIVE} == {None}
    assert applied(context) == set()


@pytest.mark.parametrize("error", [None, Transient("x"), Permanent("x")], ids=repr)
def test_a_worker_that_lost_the_lease_of_a_batch_changes_nothing_in_redis(
    context: Context, redis: Redis, error: Exception | None
) -> None:
    enqueue(context, *FIVE)
    worker: Any = worker_of(redis, context)
    run = worker._run_calls
    left: list[object] = []

    def late(calls: list[Call]) -> None:
        if not left:
            for id in FIVE:
                end_lease(redis, id)
            assert context.stores.events.rescue().expired == 5
            left.append(everything(redis))
        if error is not None:
            raise error
        run(calls)

    worker._run_calls = late
    assert worker.run_once() == 5
    assert left == [everything(redis)]
    # Another takes them up: each event is applied once, whoever applied it.
    other = worker_of(redis, context)
    while other.jobs.connection.llen("rq:queue:identity-events"):
        other.run_once()
    assert applied(context) == set(FIVE)


def test_the_events_of_one_session_in_one_batch_give_every_version_and_timeline_line(
    context: Context, redis: Redis
) -> None:
    steps = [
        ("created", "requires_input", None),
        ("processing", "processing", None),
        ("requires_input", "requires_input", "document_expired"),
        ("processing", "processing", None),
        ("verified", "verified", None),
    ]
    context.stores.events.enqueue_all(
        [
            event_job(f"evt_{n}", name, status, at=OPENED + n, error=error)
            for n, (name, status, error) in enumerate(steps)
        ]
    )
    with transactions(context.stores.engine) as ends:
        assert worker_of(redis, context).run_once() == 5
    assert ends == ["commit"]
    record = context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert (record.standing.version, record.standing.attempts) == (NOW + 4, 1)
    assert [(line.version, line.status) for line in record.timeline] == [
        (NOW + n, status) for n, (_, status, _) in enumerate(steps)
    ]
    session = context.stores.ledger.read_session(SessionKey("vs_1", "", False))
    assert session is not None
    assert session.snapshot.status == "verified"
