"""The dead letters, read."""

from __future__ import annotations

import pytest
from redis import Redis
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from app.queue import registry
from app.queue.dead_letters import DeadLetter, DeadLetters
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.places import FAILED, field, new


@pytest.fixture
def letters(redis: Redis) -> DeadLetters:
    """The dead letters of the queue under test."""
    return DeadLetters(redis, EVENTS)


def bury(jobs: JobQueue, *ids: str) -> None:
    """Make dead letters of new jobs, in this order."""
    jobs.enqueue_all([new(id, n=1) for id in ids])
    for job in jobs.claim("token", 60, len(ids)):
        assert jobs.bury(job, "last_attempt", "Broken", "it broke")


def test_a_dead_letter_says_what_happened_to_what(
    jobs: JobQueue, redis: Redis, letters: DeadLetters
) -> None:
    bury(jobs, "evt_1")
    expected = DeadLetter(
        id="evt_1",
        reason="last_attempt",
        error_class="Broken",
        error="it broke",
        attempts=1,
        first_failed_at=field(redis, "evt_1", "first_failed_at") or "",
        last_failed_at=field(redis, "evt_1", "last_failed_at") or "",
        description="event evt_1",
        payload={"n": 1},
    )
    assert expected.last_failed_at
    assert letters.find("evt_1") == expected
    assert list(letters) == [expected]


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_dead_letters_come_newest_first_over_pages(
    jobs: JobQueue, letters: DeadLetters, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PAGE", page)
    ids = [f"evt_{n}" for n in range(7)]
    bury(jobs, *ids)
    assert [letter.id for letter in letters] == ids[::-1]
    assert len(letters) == 7


@pytest.mark.parametrize("page", [1, 2, 3, 5])
def test_dead_letters_of_one_instant_are_each_read_once(
    jobs: JobQueue, redis: Redis, letters: DeadLetters, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PAGE", page)
    bury(jobs, *(f"evt_{n}" for n in range(12)))
    for n in range(12):  # three instants, of four letters each
        redis.zadd(FAILED, {f"evt_{n}": -1_700_000_000.123456 - n // 4})
    found = [int(letter.id.removeprefix("evt_")) for letter in letters]
    assert sorted(found) == list(range(12))
    assert [n // 4 for n in found] == [2] * 4 + [1] * 4 + [0] * 4


def test_letters_replayed_while_they_are_read_are_each_seen_once(
    jobs: JobQueue, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PAGE", 3)
    bury(jobs, *(f"evt_{n}" for n in range(10)))
    seen = []
    for letter in letters:
        seen.append(letter.id)
        assert jobs.replay([letter.id]) == 1
    assert sorted(seen) == [f"evt_{n}" for n in range(10)]


def test_no_letter_is_found_where_there_is_none(jobs: JobQueue, letters: DeadLetters) -> None:
    jobs.enqueue(new("queued"))
    assert letters.find("queued") is letters.find("absent") is None
    assert list(letters) == []


def test_a_letter_whose_job_is_gone_is_none(
    jobs: JobQueue, redis: Redis, letters: DeadLetters
) -> None:
    bury(jobs, "gone", "evt_1")
    redis.delete("rq:job:gone")
    assert letters.find("gone") is None
    assert [letter.id for letter in letters] == ["evt_1"]


@pytest.mark.parametrize("data", [b"", b"5", b"null", b"{", b"\x80", b'["f",null,["x"],{}]'])
def test_a_letter_of_unreadable_arguments_is_still_listed(
    jobs: JobQueue, redis: Redis, letters: DeadLetters, data: bytes
) -> None:
    bury(jobs, "evt_1")
    redis.hset("rq:job:evt_1", "data", data)
    (letter,) = letters
    assert (letter.id, letter.payload) == ("evt_1", {})


def test_a_job_that_rq_failed_is_a_dead_letter_too(
    jobs: JobQueue, redis: Redis, letters: DeadLetters
) -> None:
    bury(jobs, "evt_1")
    jobs.enqueue(new("evt_2", n=2))
    job = Job.fetch("evt_2", connection=redis, serializer=JSONSerializer)
    job.set_status(JobStatus.FAILED)
    FailedJobRegistry("identity-events", redis, serializer=JSONSerializer).add(job, ttl=-1)
    assert [letter.id for letter in letters] == ["evt_1", "evt_2"]
    letter = letters.find("evt_2")
    assert letter is not None
    assert (letter.reason, letter.payload) == ("permanent_error", {"n": 2})
