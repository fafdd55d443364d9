"""The worker: RQ's registration, signals and suspension, our transitions."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rq
from redis import Redis
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from app.cli.local.valkey import Valkey
from app.domain.errors import Permanent, Transient
from app.queue.connection import open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.jobs import JobQueue
from app.queue.model import EVENTS
from tests.queue.places import (
    STARTED,
    end_lease,
    field,
    make_due,
    new,
    place,
    places,
    queued,
)
from tests.sandbox.processes import eventually
from tests.workers.building import event_job, worker_of
from tests.workers.process import Told, working
from workers.jobs import Context
from workers.worker import HEARTBEAT, LOOK_AT_SUSPENSION

TEN = [f"evt_{number}" for number in range(10)]


@dataclass
class Time:
    """A clock that the test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


class Runs:
    """Keeps what was run; `does` says what happens to a job."""

    def __init__(self, does: Callable[[str], object] = lambda id: None) -> None:
        self.ids: list[str] = []
        self._does = does

    def __call__(self, function: str, arguments: list[Any]) -> None:
        id = arguments[0]["n"]
        self.ids.append(id)
        self._does(id)


def fails(*ids: str, error: Exception) -> Runs:
    """Runs in which some jobs fail."""

    def does(id: str) -> None:
        if id in ids:
            raise error

    return Runs(does)


@pytest.fixture
def jobs(redis: Redis) -> JobQueue:
    return JobQueue(redis, EVENTS)


def accept(jobs: JobQueue, *ids: str, **payload: object) -> None:
    jobs.accept_all([new(id, n=id, **payload) for id in ids])


# --- claim, run, settle ---------------------------------------------------------------------


def test_jobs_are_claimed_run_in_their_order_and_settled(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, *TEN)
    runs = Runs()
    assert worker_of(redis, runs).run_once() == 10
    assert runs.ids == TEN
    assert {place(redis, id) for id in TEN} == {"finished"}


def test_a_claim_takes_ten_jobs_and_leaves_the_rest_to_others(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, *TEN, "evt_10", "evt_11")
    worker = worker_of(redis, Runs())
    assert [worker.run_once(), worker.run_once()] == [10, 2]


def test_what_time_mends_is_deferred(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, "evt_1")
    worker_of(redis, fails("evt_1", error=Transient("out of reach"))).run_once()
    assert place(redis, "evt_1") == "scheduled"
    assert [field(redis, "evt_1", name) for name in ("attempts", "error_class", "error")] == [
        "1",
        "Transient",
        "out of reach",
    ]
    due = redis.zscore("rq:scheduled:events", "evt_1")
    assert due is not None
    assert 0 < due - redis.time()[0] < 5


@pytest.mark.parametrize(
    ("error", "attempts", "reason", "told"),
    [
        (Permanent("will not do"), 0, "permanent_error", "will not do"),
        (Transient("out of reach"), 19, "attempts_exhausted", "out of reach"),
    ],
)
def test_what_time_does_not_mend_is_buried_with_its_reason(
    jobs: JobQueue, redis: Redis, error: Exception, attempts: int, reason: str, told: str
) -> None:
    accept(jobs, "evt_1")
    redis.hset("rq:job:evt_1", "attempts", attempts)
    worker_of(redis, fails("evt_1", error=error)).run_once()
    assert place(redis, "evt_1") == "failed"
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert (letter.reason, letter.error, letter.attempts) == (reason, told, attempts + 1)


def test_nothing_of_a_foreign_errors_text_comes_into_redis(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, "evt_1")
    worker_of(redis, fails("evt_1", error=ValueError("Jenny Rosen"))).run_once()
    assert field(redis, "evt_1", "error_class") == "ValueError"
    assert "Jenny" not in repr(redis.hgetall("rq:job:evt_1"))


def test_a_job_that_fails_does_not_hold_up_the_rest_of_its_batch(
    jobs: JobQueue, redis: Redis
) -> None:
    accept(jobs, "evt_1", "evt_2", "evt_3")
    runs = fails("evt_1", "evt_2", error=Permanent("no"))
    worker_of(redis, runs).run_once()
    assert runs.ids == ["evt_1", "evt_2", "evt_3"]
    assert place(redis, "evt_3") == "finished"


def test_a_job_over_its_time_is_deferred_once_and_then_buried(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, "evt_1")
    told: list[float] = []
    # A lease of two seconds leaves one for a job.
    worker = worker_of(redis, Runs(lambda id: time.sleep(10)), lease=2, progress=told.append)
    began = time.monotonic()
    worker.run_once()
    assert time.monotonic() - began < 8
    assert (place(redis, "evt_1"), field(redis, "evt_1", "error_class")) == (
        "scheduled",
        "JobTimeoutException",
    )
    make_due(redis, "evt_1")
    jobs.release()
    worker.run_once()
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert (letter.reason, letter.attempts) == ("timed_out", 2)
    assert told == [1, 0, 1, 0]


def test_a_job_may_take_half_a_lease_and_twenty_seconds_at_most(redis: Redis) -> None:
    found = [worker_of(redis, Runs(), lease=lease).time_limit for lease in (2, 10, 60, 3600)]
    assert found == [1, 5, 20, 20]


def test_jobs_that_could_not_end_within_the_lease_are_given_back(
    jobs: JobQueue, redis: Redis
) -> None:
    clock = Time()

    def slow(id: str) -> None:
        clock.now += 15

    accept(jobs, *TEN)
    runs = Runs(slow)
    worker = worker_of(redis, runs, lease=60, clock=clock)
    # The last may begin at 40 of 60 seconds, as it may take 20.
    assert worker.run_once() == 3
    assert runs.ids == TEN[:3]
    assert queued(redis) == TEN[3:]
    assert redis.zcard(STARTED) == 0
    assert field(redis, TEN[3], "attempts") is None


# --- a lease that was lost ------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, Transient("x"), Permanent("x")], ids=repr)
def test_a_worker_that_lost_its_lease_changes_nothing(
    context: Context, redis: Redis, error: Exception | None
) -> None:
    context.events.accept(event_job("evt_1", "verified", "verified"))
    other = worker_of(redis, context)

    def late(function: str, arguments: list[Any]) -> None:
        end_lease(redis, "evt_1")
        assert context.events.release().expired == 1
        assert other.run_once() == 1
        if error is not None:
            raise error
        worker._call_before(function, arguments)

    worker: Any = worker_of(redis, context)
    worker._call_before, worker._call = worker._call, late
    assert worker.run_once() == 1
    assert place(redis, "evt_1") == "finished"
    assert field(redis, "evt_1", "attempts") is None
    assert context.ledger.count_events() == 1
    record = context.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert len(record.timeline) == 1


def test_a_late_worker_does_not_disturb_the_one_that_has_the_job_now(
    jobs: JobQueue, redis: Redis
) -> None:
    accept(jobs, "evt_1")

    def late(id: str) -> None:
        end_lease(redis, id)
        jobs.release()
        assert [job.id for job in jobs.claim("another", 60, 1)] == [id]

    worker_of(redis, Runs(late)).run_once()
    assert place(redis, "evt_1") == "started"
    assert jobs.settle("another", ["evt_1"]) == 1


# --- RQ's own tools -------------------------------------------------------------------------


def workers_of(redis: Redis) -> list[Any]:
    return rq.Worker.all(connection=redis, serializer=JSONSerializer)


def rq_command(valkey: Valkey, *arguments: str) -> str:
    """What RQ's own command prints."""
    command = [str(Path(sys.executable).with_name("rq")), *arguments, "--url", valkey.url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_worker_is_seen_by_rq_with_what_it_has_done(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, "evt_1", "evt_2", "evt_3")
    worker = worker_of(redis, fails("evt_2", error=Permanent("no")))
    worker.run_once()
    (seen,) = workers_of(redis)
    assert (seen.name, seen.queue_names()) == (worker.name, ["events"])
    assert (seen.successful_job_count, seen.failed_job_count) == (2, 1)


def test_a_worker_is_busy_while_it_works(jobs: JobQueue, redis: Redis) -> None:
    accept(jobs, "evt_1")
    states: list[str] = []
    worker_of(redis, Runs(lambda id: states.append(workers_of(redis)[0].get_state()))).run_once()
    assert states == ["busy"]


def test_rq_info_shows_the_worker_and_its_queue(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    accept(jobs, "evt_1", "evt_2")
    worker = worker_of(redis, Runs())
    told = rq_command(valkey, "info", "--raw")
    assert "queue events 2" in told
    assert worker.name in told


def test_rq_info_takes_nothing_from_a_worker_that_is_busy(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    accept(jobs, "evt_1")
    worker_of(redis, Runs(lambda id: rq_command(valkey, "info") and None)).run_once()
    assert place(redis, "evt_1") == "finished"


def test_a_suspended_worker_takes_nothing_until_it_is_resumed(jobs: JobQueue, redis: Redis) -> None:
    clock = Time()
    accept(jobs, "evt_1")
    worker = worker_of(redis, Runs(), clock=clock)
    suspend(redis)
    assert worker.run_once() == 0
    assert place(redis, "evt_1") == "queued"
    assert workers_of(redis)[0].get_state() == "suspended"
    resume(redis)
    clock.now += LOOK_AT_SUSPENSION
    assert worker.run_once() == 1


def test_a_worker_that_rq_has_forgotten_registers_again(jobs: JobQueue, redis: Redis) -> None:
    clock = Time()
    worker = worker_of(redis, Runs(), clock=clock)
    worker.jobs.wait = lambda: False  # type: ignore[method-assign]
    worker.run_once()
    redis.flushall()
    assert workers_of(redis) == []
    clock.now += HEARTBEAT
    worker.run_once()
    (seen,) = workers_of(redis)
    assert (seen.name, seen.get_state()) == (worker.name, "idle")
    assert redis.ttl(worker.key) > 60


def test_a_claim_does_not_bring_a_forgotten_worker_back_as_half_a_hash(
    jobs: JobQueue, redis: Redis
) -> None:
    worker = worker_of(redis, Runs(), clock=Time())
    worker.run_once()
    redis.flushall()
    accept(jobs, "evt_1")
    worker.run_once()
    assert not redis.exists(worker.key)
    assert place(redis, "evt_1") == "finished"


# --- what it costs --------------------------------------------------------------------------


@contextmanager
def watched(redis: Redis, valkey: Valkey) -> Iterator[list[str]]:
    """The commands that the client sends meanwhile; what a script calls is the server's affair."""
    found: list[str] = []
    own = redis.client_info()["addr"]
    with open_redis(valkey.url) as watcher, watcher.monitor() as monitor:
        yield found
        redis.echo("that is all")
        while "that is all" not in (seen := monitor.next_command())["command"]:
            if f"{seen['client_address']}:{seen['client_port']}" == own:
                found.append(seen["command"].split()[0])


def calls(redis: Redis, *names: str) -> int:
    """How often these were called, by whomever."""
    stats = redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


def test_a_busy_batch_of_ten_takes_two_round_trips(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    accept(jobs, *[f"evt_{number}" for number in range(40)])
    worker = worker_of(redis, Runs(), clock=Time())
    worker.run_once()  # its first: scripts are loaded, a sign of life is given
    with watched(redis, valkey) as commands:
        for _ in range(3):
            assert worker.run_once() == 10
    assert commands == ["EVALSHA"] * 6


def test_signs_of_life_and_looks_at_suspension_do_not_come_with_every_batch(
    jobs: JobQueue, redis: Redis
) -> None:
    clock = Time()
    worker = worker_of(redis, Runs(), clock=clock)
    worker.jobs.wait = lambda: False  # type: ignore[method-assign]
    worker.run_once()
    redis.config_resetstat()
    for _ in range(300):
        worker.run_once()
        clock.now += 0.1
    # 30 seconds: two signs of life, 30 looks at `rq suspend`.
    assert 1 <= calls(redis, "expire") // 2 <= 3
    assert 25 <= calls(redis, "exists") <= 35
    assert calls(redis, "evalsha") == 300


# --- signals and commands, in a process -----------------------------------------------------


def test_an_idle_worker_ends_at_once_when_asked_to(redis: Redis, valkey: Valkey) -> None:
    with working(valkey.url) as told:
        eventually(lambda: redis.info("clients")["blocked_clients"])
        began = time.monotonic()
        told.process.send_signal(signal.SIGTERM)
        assert told.ended() == 0
        assert time.monotonic() - began < 3
        assert "left" in told.lines
    assert workers_of(redis) == []


def test_an_idle_worker_holds_nothing_that_its_death_could_lose(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    with working(valkey.url) as told:
        eventually(lambda: redis.info("clients")["blocked_clients"])
        told.process.send_signal(signal.SIGSTOP)
        accept(jobs, "evt_1")
        told.process.kill()
    assert place(redis, "evt_1") == "queued"


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM] * 3])
def test_a_signal_lets_the_job_at_hand_finish_and_gives_the_rest_back(
    jobs: JobQueue, redis: Redis, valkey: Valkey, signals: list[signal.Signals]
) -> None:
    accept(jobs, "evt_1", "evt_2", "evt_3", seconds=1)
    with working(valkey.url) as told:
        told.await_line("begin evt_1")
        for each in signals:
            told.process.send_signal(each)
            time.sleep(0.05)
        assert told.ended() == 0
        assert [line for line in told.lines if line[:3] in ("beg", "end")] == [
            "begin evt_1",
            "end evt_1",
        ]
    assert place(redis, "evt_1") == "finished"
    assert queued(redis) == ["evt_2", "evt_3"]
    assert redis.zcard(STARTED) == 0


def test_rqs_shutdown_command_stops_the_worker(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    accept(jobs, "evt_1", "evt_2", seconds=1)
    with working(valkey.url) as told:
        told.await_line("begin evt_1")
        send_shutdown_command(redis, workers_of(redis)[0].name)
        assert told.ended() == 0
    assert place(redis, "evt_1") == "finished"
    assert place(redis, "evt_2") == "queued"


def test_rqs_other_commands_do_no_harm(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    accept(jobs, "evt_1", seconds=1)
    with working(valkey.url) as told:
        told.await_line("begin evt_1")
        (worker,) = workers_of(redis)
        send_kill_horse_command(redis, worker.name)
        send_stop_job_command(redis, "evt_1", serializer=JSONSerializer)
        told.await_line("end evt_1")
        eventually(lambda: places(redis, "evt_1") == ["finished"])
        # It still listens.
        send_shutdown_command(redis, worker.name)
        assert told.ended() == 0


# --- Redis away, or full --------------------------------------------------------------------


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server of this test alone, that it may break; what it answers is on its disk."""
    with Valkey(tmp_path, fsync="always") as server:
        yield server


def still_listens(private: Valkey, told: Told) -> None:
    """The worker hears RQ's commands, as soon as it has subscribed anew."""
    with open_redis(private.url) as redis:

        def asked() -> bool:
            for worker in workers_of(redis):
                send_shutdown_command(redis, worker.name)
            return told.process.poll() is not None

        eventually(asked)
    assert told.ended() == 0


def test_redis_being_away_is_waited_out(private: Valkey) -> None:
    with working(private.url) as told:
        private.kill()
        told.await_line("waiting for Redis")
        private.start()
        with open_redis(private.url) as redis:
            accept(JobQueue(redis, EVENTS), "evt_1")
            told.await_line("end evt_1")
            eventually(lambda: places(redis, "evt_1") == ["finished"])
        still_listens(private, told)


def test_redis_dying_in_the_middle_of_a_job_loses_nothing(private: Valkey) -> None:
    with open_redis(private.url) as redis:
        jobs = JobQueue(redis, EVENTS)
        accept(jobs, "evt_1", "evt_2", seconds=0.5)
        with working(private.url) as told:
            told.await_line("begin evt_1")
            private.kill()
            told.await_line("waiting for Redis")
            private.start()
            for id in ("evt_1", "evt_2"):
                assert place(redis, id) == "started"
                end_lease(redis, id)
            assert jobs.release().expired == 2
            told.await_line("end evt_1", 2)
            eventually(lambda: places(redis, "evt_1") == places(redis, "evt_2") == ["finished"])


def test_a_worker_asked_to_stop_while_redis_is_away_stops(private: Valkey) -> None:
    with working(private.url) as told:
        private.kill()
        told.await_line("waiting for Redis")
        told.process.send_signal(signal.SIGTERM)
        assert told.ended() == 0
        assert "left without telling Redis" in told.text


@pytest.mark.slow
def test_redis_hanging_is_waited_out(private: Valkey) -> None:
    with working(private.url) as told:
        assert private.process is not None
        private.process.send_signal(signal.SIGSTOP)
        told.await_line("waiting for Redis", seconds=60)
        private.process.send_signal(signal.SIGCONT)
        with open_redis(private.url) as redis:
            accept(JobQueue(redis, EVENTS), "evt_1")
            told.await_line("end evt_1")
        still_listens(private, told)


@pytest.fixture
def full(redis: Redis) -> Iterator[Callable[[], None]]:
    """Fills the server; it is emptied again at the end."""
    yield lambda: redis.config_set("maxmemory", 1)
    redis.config_set("maxmemory", 0)


def test_a_full_redis_is_emptied_by_the_worker_though_it_takes_no_sign_of_life(
    jobs: JobQueue, redis: Redis, full: Callable[[], None]
) -> None:
    clock = Time()
    worker = worker_of(redis, Runs(), clock=clock)
    accept(jobs, *TEN)
    full()
    clock.now += HEARTBEAT
    assert worker.run_once() == 10
    assert {place(redis, id) for id in TEN} == {"finished"}
    worker.jobs.wait = lambda: False  # type: ignore[method-assign]
    assert worker.run_once() == 0


def test_a_worker_that_starts_while_redis_is_full_empties_it(
    jobs: JobQueue, redis: Redis, valkey: Valkey, full: Callable[[], None]
) -> None:
    accept(jobs, *TEN)
    full()
    with working(valkey.url):
        eventually(lambda: all(places(redis, id) == ["finished"] for id in TEN))
