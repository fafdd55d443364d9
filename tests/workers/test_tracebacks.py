"""A dead letter says where its exception came from, and nothing of what it worked on."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from app.domain.errors import Permanent, Transient
from app.ledger.engine import LedgerUnavailable
from app.notifications import subscriber
from app.queue.dead_letters import DeadLetter, DeadLetters
from app.queue.model import EVENTS
from app.queue.retry_policy import MAX_ATTEMPTS
from app.queue.transitions import JobQueue
from tests.support.places import make_due
from tests.support.workers import worker_of
from tests.workers.runs import Runs, enqueue, fails

PERSONAL = "jenny.rosen" + "@example.com"  # so that no line of source has it


def team_function(changed: Any) -> None:
    """A subscriber with a mistake in it."""
    {}[changed]


def dead(redis: Redis, run: Runs, attempts: int = 1) -> DeadLetter:
    """The letter that a job becomes, with so many attempts made."""
    jobs = JobQueue(redis, EVENTS)
    enqueue(jobs, "evt_1")
    worker = worker_of(redis, run, check_ledger=lambda: None)
    for _ in range(attempts):
        worker.run_once()
        if redis.zscore("rq:scheduled:identity-events", "evt_1") is not None:
            make_due(redis, "evt_1")
            jobs.promote()
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    return letter


def traceback(redis: Redis) -> str:
    return DeadLetters(redis, EVENTS).traceback_of("evt_1")


def everything(redis: Redis) -> str:
    """All that Redis has of the job, RQ's compressed result as RQ's readers show it."""
    job = Job.fetch("evt_1", connection=redis, serializer=JSONSerializer)
    fields = cast(dict[bytes, bytes], redis.hgetall("rq:job:evt_1"))
    return repr(fields) + "".join(str(result.exc_string) for result in job.results())


def test_an_exception_of_a_handler_names_its_line_and_keeps_the_way_to_it(redis: Redis) -> None:
    def handler(id: str) -> None:
        raise ValueError(f"{id} of {PERSONAL}")

    letter = dead(redis, Runs(handler))
    assert letter.error_class == "ValueError"
    assert letter.error.startswith("raised in handler (tests/workers/test_tracebacks.py:")
    kept = traceback(redis)
    assert kept.splitlines()[-1] == '    raise ValueError(f"{id} of {PERSONAL}")'
    assert "workers/worker.py:" in kept
    assert PERSONAL not in everything(redis)


def test_an_exception_of_a_subscriber_names_the_teams_line_after_the_last_attempt(
    redis: Redis,
) -> None:
    def notify(id: str) -> None:
        subscriber.call(team_function, cast(Any, PERSONAL))

    letter = dead(redis, Runs(notify), attempts=MAX_ATTEMPTS)
    where = "team_function (tests/workers/test_tracebacks.py:"
    assert letter.reason == "attempts_exhausted"
    assert letter.error.startswith(f"the subscriber raised KeyError in {where}")
    assert traceback(redis).startswith("KeyError\n")
    assert "    {}[changed]" in traceback(redis)
    assert PERSONAL not in everything(redis)


def test_rqs_readers_show_the_line_and_below_it_the_traceback(redis: Redis) -> None:
    dead(redis, fails("evt_1", error=Permanent("no such user")))
    (result,) = Job.fetch("evt_1", connection=redis, serializer=JSONSerializer).results()
    assert str(result.exc_string) == (
        f"permanent_error: Permanent: no such user\n\n{traceback(redis)}"
    )
    assert traceback(redis).startswith("Permanent: no such user\n")


@pytest.mark.parametrize("away", [LedgerUnavailable("PostgreSQL at h:1 is not there")])
def test_a_store_that_was_away_to_the_last_attempt_leaves_no_traceback(
    redis: Redis, away: Transient
) -> None:
    letter = dead(redis, fails("evt_1", error=away), attempts=MAX_ATTEMPTS)
    assert letter.error == "PostgreSQL at h:1 is not there"
    assert traceback(redis) == ""


def test_a_letter_that_is_replayed_keeps_no_traceback(redis: Redis) -> None:
    dead(redis, fails("evt_1", error=Permanent("no such user")))
    JobQueue(redis, EVENTS).replay(["evt_1"])
    assert traceback(redis) == ""
