"""What we rely on of stock RQ: when an upgrade fails here, it says what has moved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus, requeue_job, validate_job_id
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
    clean_registries,
)
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.utils import str_to_date, utcformat, utcparse
from rq.worker import Worker

from app.local.valkey import Valkey
from app.queue import scripts
from app.queue.connection import open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.model import EVENTS, FORMAT, decode, keys_of
from app.queue.transitions import JobQueue
from tests.support.places import everything, field, new, one_of_each, place, places, queued

REGISTRIES: dict[str, type[BaseRegistry]] = {
    "started": StartedJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "failed": FailedJobRegistry,
    "finished": FinishedJobRegistry,
}


def fetch(redis: Redis, id: str) -> Job:
    """The job as RQ sees it."""
    return Job.fetch(id, connection=redis, serializer=JSONSerializer)


def rq(valkey: Valkey, *arguments: str) -> str:
    """What RQ's command prints."""
    command = [sys.executable, "-m", "rq.cli", *arguments, "--url", valkey.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def dead(jobs: JobQueue, id: str = "evt_1") -> None:
    """Make a dead letter of a new job."""
    jobs.enqueue(new(id, client_reference_id="user_1"))
    (job,) = jobs.claim("token", 60, 1)
    assert jobs.bury(job, "permanent_error", "Broken", "it broke")


def test_our_keys_are_those_of_rq_but_for_the_last_five() -> None:
    assert keys_of(EVENTS, "worker") == [
        "rq:queue:identity-events",
        "rq:queues",
        "rq:wip:identity-events",
        "rq:scheduled:identity-events",
        "rq:failed:identity-events",
        "rq:finished:identity-events",
        "rq:worker:worker",
        "rq:canceled:identity-events",
        "rq:results:",
        "identity:claim:worker",
        "identity:counts:events",
        "identity:by_session:events:",
        "identity:idle:events",
        "identity:wake:",
    ]
    assert Job.redis_job_namespace_prefix == "rq:job:"


def test_our_ids_are_ids_to_rq() -> None:
    for id in ("evt_1NG8Du2eZvKYlo2CUI79vXWy", "evt_1-recheck", "vs_1-1700000000-redact"):
        validate_job_id(id)
    with pytest.raises(ValueError, match="letters, numbers, underscores and dashes"):
        validate_job_id("evt_1:notify")


def test_our_statuses_are_those_of_rq(jobs: JobQueue, redis: Redis) -> None:
    for id, at in one_of_each(jobs).items():
        assert fetch(redis, id).get_status() is JobStatus(at)


@pytest.mark.parametrize(
    "id", ["queued", "started", "expired", "scheduled", "due", "failed", "finished"]
)
def test_rq_reads_a_job_in_every_place(jobs: JobQueue, redis: Redis, id: str) -> None:
    before = redis.time()[0]
    one_of_each(jobs)
    job = fetch(redis, id)
    # A finished one calls nothing any more.
    called = ("", []) if id == "finished" else (EVENTS.function, [{"n": 1}, FORMAT])
    assert (job.func_name, list(job.args), job.kwargs) == (*called, {})
    assert (job.description, job.origin) == (f"event {id}", "identity-events")
    # A finished job is kept for its id alone; a dead letter for ever.
    running, ended = id in ("started", "expired"), id in ("failed", "finished")
    assert job.timeout == (None if id == "finished" else EVENTS.time_limit)
    assert job.failure_ttl == (-1 if id == "failed" else None)
    assert job.worker_name == ("worker" if running or id == "failed" else None)
    times = {
        "created_at": id != "finished",  # else RQ gives the time at which it reads
        "enqueued_at": id != "finished",
        "started_at": running or id == "failed",
        "last_heartbeat": running,
        "ended_at": ended,
    }
    for moment in [getattr(job, name) for name, is_written in times.items() if is_written]:
        assert moment is not None
        assert moment.tzinfo is UTC
        assert -1 <= moment.timestamp() - before < 60
    for name in ("enqueued_at", "started_at", "ended_at"):
        assert (getattr(job, name) is not None) == times[name]


def test_rq_shows_why_a_dead_letter_died(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs)
    (result,) = fetch(redis, "evt_1").results()
    assert result.type is Result.Type.FAILED
    assert result.exc_string == "permanent_error: Broken: it broke"
    assert result.worker_name == "worker"


def test_rq_counts_and_lists_what_is_where(jobs: JobQueue, redis: Redis) -> None:
    expected = one_of_each(jobs)
    assert Queue.all(connection=redis) == [Queue("identity-events", connection=redis)]
    queue = Queue("identity-events", connection=redis, serializer=JSONSerializer)
    assert (queue.job_ids, queue.count) == (["queued"], 1)
    for at, kind in REGISTRIES.items():
        registry = kind("identity-events", redis, serializer=JSONSerializer)
        ids = {id for id, there in expected.items() if there == at}
        assert (set(registry.get_job_ids()), registry.count) == (ids, len(ids))
        assert all(id in registry for id in ids)


def test_rq_reads_a_schedule_as_a_time(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1", delay=60))
    at = ScheduledJobRegistry("identity-events", redis).get_scheduled_time("evt_1")
    ahead = at - datetime.fromtimestamp(redis.time()[0], UTC)
    assert timedelta(seconds=50) < ahead < timedelta(seconds=62)


def test_reading_through_rq_changes_nothing(jobs: JobQueue, redis: Redis) -> None:
    one_of_each(jobs)
    before = everything(redis)
    queue = Queue("identity-events", connection=redis, serializer=JSONSerializer)
    clean_registries(queue)
    for kind in REGISTRIES.values():
        registry = kind("identity-events", redis, serializer=JSONSerializer)
        registry.cleanup()
        assert registry.count == len(registry.get_job_ids())
    assert len(queue.jobs) == 1
    assert everything(redis) == before


def test_rq_info_changes_nothing(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    one_of_each(jobs)
    before = everything(redis)
    shown = rq(valkey, "info", "--raw")
    assert "queue identity-events 1, 2 executing, 1 finished, 1 failed" in shown
    assert everything(redis) == before


def test_reading_through_rq_drops_only_finished_jobs_past_their_hour(
    jobs: JobQueue, redis: Redis
) -> None:
    one_of_each(jobs)
    before = everything(redis)
    redis.zadd("rq:finished:identity-events", {"old": redis.time()[0] - 1})
    assert FinishedJobRegistry("identity-events", redis).get_job_ids() == ["finished"]
    assert everything(redis) == before


def test_a_lease_stands_far_beyond_what_rq_judges(jobs: JobQueue, redis: Redis) -> None:
    jobs.enqueue(new("evt_1"))
    jobs.claim("token", 60, 1)
    year_ahead = redis.time()[0] + 365 * 86400
    StartedJobRegistry("identity-events", redis, serializer=JSONSerializer).cleanup(year_ahead)
    assert place(redis, "evt_1") == "started"
    assert jobs.complete("token", ["evt_1"]) == 1


def test_dead_letters_outlive_every_cleanup(jobs: JobQueue, redis: Redis) -> None:
    dead(jobs)
    before = everything(redis)
    FailedJobRegistry("identity-events", redis).cleanup(redis.time()[0] + 100 * 365 * 86400)
    assert everything(redis) == before


def test_rq_suspends_and_resumes_workers(redis: Redis, valkey: Valkey) -> None:
    rq(valkey, "suspend")
    assert is_suspended(redis)
    assert redis.keys() == [b"rq:suspended"]
    rq(valkey, "resume")
    assert not is_suspended(redis)


REQUEUES: dict[str, Callable[[Redis], object]] = {
    "requeue_job": lambda redis: requeue_job("evt_1", redis, serializer=JSONSerializer),
    "registry": lambda redis: FailedJobRegistry(
        "identity-events", redis, serializer=JSONSerializer
    ).requeue("evt_1"),
}


@pytest.mark.parametrize("requeue", REQUEUES.values(), ids=REQUEUES.keys())
def test_a_dead_letter_requeued_by_rq_runs_here(
    jobs: JobQueue, redis: Redis, requeue: Callable[[Redis], object]
) -> None:
    dead(jobs)
    requeue(redis)
    assert place(redis, "evt_1") == "queued"
    (job,) = jobs.claim("token", 60, 1)
    assert decode(job.data) == (EVENTS.function, [{"client_reference_id": "user_1"}])
    assert jobs.bury(job, "permanent_error", "Broken", "it broke again")
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert (letter.payload, letter.attempts) == ({"client_reference_id": "user_1"}, 1)


def test_rqs_command_requeues_dead_letters(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    dead(jobs)
    rq(
        valkey,
        "requeue",
        "--all",
        "--queue",
        "identity-events",
        "-S",
        "rq.serializers.JSONSerializer",
    )
    assert [decode(job.data)[1] for job in jobs.claim("token", 60, 2)] == [
        [{"client_reference_id": "user_1"}]
    ]


@pytest.mark.parametrize("id", ["queued", "scheduled", "due", "failed", "finished"])
def test_a_job_deleted_through_rq_is_nowhere(jobs: JobQueue, redis: Redis, id: str) -> None:
    others = set(one_of_each(jobs)) - {id}
    fetch(redis, id).delete()
    assert places(redis, id) == []
    assert not redis.exists(f"rq:job:{id}")
    jobs.rescue()
    jobs.promote()
    assert id not in [job.id for n in range(5) for job in jobs.claim(f"t{n}", 60, 1)]
    assert all(len(places(redis, other)) == 1 for other in others)
    assert jobs.enqueue(new(id)) == "enqueued"


@pytest.mark.parametrize("id", ["queued", "scheduled", "due", "failed"])
def test_a_job_cancelled_through_rq_is_not_run(jobs: JobQueue, redis: Redis, id: str) -> None:
    one_of_each(jobs)
    fetch(redis, id).cancel()
    assert places(redis, id) == []
    jobs.rescue()
    jobs.promote()
    assert id not in [job.id for n in range(5) for job in jobs.claim(f"t{n}", 60, 1)]
    assert CanceledJobRegistry("identity-events", redis).get_job_ids() == [id]
    assert jobs.replay([id]) == 0


@pytest.mark.parametrize("how", ["delete", "cancel"])
def test_a_running_job_deleted_or_cancelled_through_rq_is_not_taken_up_again(
    jobs: JobQueue, redis: Redis, how: str
) -> None:
    one_of_each(jobs)
    for id in ("started", "expired"):
        getattr(fetch(redis, id), how)()
    jobs.rescue()
    jobs.promote()
    assert jobs.release("token", ["started", "expired"]) == 0
    assert places(redis, "started") == places(redis, "expired") == []
    assert queued(redis) == ["queued", "due"]
    for id in ("started", "expired"):
        assert field(redis, id, "status") == (None if how == "delete" else "canceled")


def test_a_queue_emptied_through_rq_is_empty(jobs: JobQueue, redis: Redis) -> None:
    one_of_each(jobs)
    assert Queue("identity-events", connection=redis).empty() == 1
    assert jobs.claim("next", 60, 1) == []
    assert not redis.exists("rq:job:queued")


def test_a_registered_worker_is_seen_working(jobs: JobQueue, redis: Redis) -> None:
    worker = Worker(["identity-events"], connection=redis, name="worker", serializer=JSONSerializer)
    worker.register_birth()
    jobs.enqueue_all([new("evt_1"), new("evt_2")])
    _, second = jobs.claim("token", 60, 2)
    jobs.complete("token", ["evt_1"])
    jobs.bury(second, "permanent_error", "Broken", "it broke")
    (seen,) = Worker.all(connection=redis, serializer=JSONSerializer)
    assert (seen.get_state(), seen.successful_job_count, seen.failed_job_count) == ("busy", 1, 1)


# Times

CLOCK = "local clock = redis.call('TIME')"


@pytest.fixture(scope="module")
def substituted(valkey: Valkey) -> str:
    """A script that answers utc_text() for the seconds and microseconds it is given."""
    prelude = scripts._PRELUDE
    assert prelude.count(CLOCK) == 1
    return prelude.replace(CLOCK, "local clock = {ARGV[2], ARGV[3]}") + "\nreturn utc_text()"


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, LAST), min_size=10))
def test_a_time_of_ours_is_the_one_rq_would_write(
    valkey: Valkey, substituted: str, microseconds: list[int]
) -> None:
    moments = [EPOCH + timedelta(microseconds=n) for n in microseconds]
    with open_redis(valkey.url) as client, client.pipeline(transaction=False) as pipeline:
        for n in microseconds:
            pipeline.eval(substituted, 0, "", n // 1_000_000, n % 1_000_000)
        texts = [text.decode() for text in pipeline.execute()]
    assert texts == [utcformat(moment) for moment in moments]
    assert [utcparse(text) for text in texts] == moments


@pytest.mark.parametrize(
    "day", ["1970-01-01", "1999-12-31", "2000-02-29", "2027-03-01", "2028-02-29", "2100-03-01"]
)
def test_the_edges_of_years_and_months_are_right(redis: Redis, substituted: str, day: str) -> None:
    for time in ("00:00:00.000000", "23:59:59.999999"):
        moment = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)
        answer = redis.eval(substituted, 0, "", int(moment.timestamp()), moment.microsecond)
        assert str_to_date(answer) == moment
