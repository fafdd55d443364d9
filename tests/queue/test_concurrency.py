"""Many at once: real threads with connections of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from redis import Redis

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import EVENTS, Rescued
from app.queue.transitions import JobQueue
from tests.support.places import counts, new, queued

JOBS = 2000
THREADS = 4

T = TypeVar("T")


def at_once(valkey: Valkey, act: Callable[[JobQueue, int], T]) -> list[T]:
    """What each of several threads returns that act on the queue at the same time."""

    def run(number: int) -> T:
        with open_redis(valkey.url) as client:
            return act(JobQueue(client, EVENTS, f"worker{number}"), number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_no_two_workers_claim_the_same_job(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    jobs.enqueue_all([new(f"evt_{n}") for n in range(JOBS)])

    def drain(own: JobQueue, number: int) -> list[str]:
        ids: list[str] = []
        turn = 0
        while claimed := own.claim(f"w{number}.{turn}", 60, 7):
            turn += 1
            ids += [job.id for job in claimed]
            assert own.complete(claimed[0].token, [job.id for job in claimed]) == len(claimed)
        return ids

    claimed = Counter(id for ids in at_once(valkey, drain) for id in ids)
    assert claimed == Counter({f"evt_{n}": 1 for n in range(JOBS)})
    assert counts(jobs) == {"queued": 0, "started": 0, "scheduled": 0, "failed": 0}


def test_several_clocks_release_each_job_once(jobs: JobQueue, redis: Redis, valkey: Valkey) -> None:
    expired = [f"expired_{n}" for n in range(600)]
    due = [f"due_{n}" for n in range(600)]
    jobs.enqueue_all([new(id) for id in expired] + [new(id, delay=60) for id in due])
    redis.zadd(
        "rq:wip:identity-events",
        {f"{job.id}:token": 1.0 for job in jobs.claim("token", 60, len(expired))},
    )
    redis.zadd("rq:scheduled:identity-events", dict.fromkeys(due, 1.0))

    def move(own: JobQueue, _: int) -> tuple[int, int]:
        moved = [(own.rescue().expired, own.promote()) for _ in range(4)]
        return sum(expired for expired, _ in moved), sum(due for _, due in moved)

    moved = at_once(valkey, move)
    assert tuple(map(sum, zip(*moved, strict=True))) == (600, 600)
    assert Counter(queued(redis)) == Counter(expired + due)
    assert jobs.rescue() == Rescued()


def test_one_job_accepted_by_many_is_queued_once(
    jobs: JobQueue, redis: Redis, valkey: Valkey
) -> None:
    news = [new(f"evt_{n}") for n in range(200)]
    answers = at_once(valkey, lambda own, _: [own.enqueue(job) for job in news])
    for same in zip(*answers, strict=True):
        assert Counter(same) == {"enqueued": 1, "duplicate": THREADS - 1}
    assert Counter(queued(redis)) == Counter(job.id for job in news)
