"""Where the server keeps a job, read without the code under test; and time made to pass."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis

from app.queue.backlog import read_backlog
from app.queue.model import EVENTS, Claimed, NewJob, QueueSpec, Rescued
from app.queue.transitions import JobQueue

LIST = "rq:queue:identity-events"
STARTED = "rq:wip:identity-events"
SCHEDULED = "rq:scheduled:identity-events"
FAILED = "rq:failed:identity-events"
FINISHED = "rq:finished:identity-events"

# More than any lease or delay of a test, and far less than the ten years a lease is kept on.
LONG = 1_000_000


def new(id: str, delay: float = 0, **payload: object) -> NewJob:
    """A job of a short description."""
    return NewJob(id, payload, f"event {id}", delay)


def places(redis: Redis, id: str) -> list[str]:
    """Every place that names the job, one entry for each time it does."""
    found = ["queued"] * queued(redis).count(id)
    found += ["started" for member in members(redis, STARTED) if member.startswith(f"{id}:")]
    for name, key in (("scheduled", SCHEDULED), ("failed", FAILED), ("finished", FINISHED)):
        if redis.zscore(key, id) is not None:
            found.append(name)
    return found


def place(redis: Redis, id: str) -> str:
    """The one place of a job, which its hash has to know as well."""
    (found,) = places(redis, id)
    assert redis.hget(f"rq:job:{id}", "status") == found.encode()
    return found


def field(redis: Redis, id: str, name: str) -> str | None:
    """One field of the job's hash."""
    value = cast(bytes | None, redis.hget(f"rq:job:{id}", name))
    return None if value is None else value.decode()


def counts(queue: JobQueue) -> Mapping[str, int]:
    """How many jobs are queued, started, scheduled and failed, as the product reads it."""
    return read_backlog(queue.connection, queue.spec).counts


def queued(redis: Redis) -> list[str]:
    """The queue's ids, the next one first."""
    return [id.decode() for id in cast(list[bytes], redis.lrange(LIST, 0, -1))]


def members(redis: Redis, registry: str) -> list[str]:
    """What a registry names, the least score first."""
    return [member.decode() for member in cast(list[bytes], redis.zrange(registry, 0, -1))]


def everything(redis: Redis) -> dict[bytes, tuple[bytes, int]]:
    """Every key with its exact value and the moment it expires, but for two kinds.

    A web process of an earlier test counts its refusals up to a second after it refused. And who
    waits for a job tells of none.
    """
    keys = [
        key
        for key in sorted(cast(list[bytes], redis.keys()))
        if key != b"identity:requests_refused"
        and not key.startswith((b"identity:idle:", b"identity:wake:"))
    ]
    return {key: (cast(bytes, redis.dump(key)), redis.pexpiretime(cast(Any, key))) for key in keys}


def end_lease(redis: Redis, id: str, spec: QueueSpec = EVENTS) -> None:
    """The time of the job's lease has passed."""
    started = f"rq:wip:{spec.rq_name}"
    for member in members(redis, started):
        if member.startswith(f"{id}:"):
            redis.zincrby(started, -LONG, member)


def make_due(redis: Redis, id: str) -> None:
    """The time of the job's schedule has come."""
    assert redis.zscore(SCHEDULED, id) is not None
    redis.zincrby(SCHEDULED, -LONG, id)


def failing_for(redis: Redis, id: str, seconds: float) -> None:
    """The job has failed for the first time so many seconds ago."""
    first = datetime.fromtimestamp(now(redis) - seconds, UTC)
    text = first.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    redis.hset(f"rq:job:{id}", mapping={"first_failed_at": text, "last_failed_at": text})


def one_of_each(jobs: JobQueue) -> dict[str, str]:
    """A job in each place, those whose time has come among them: id to place."""
    redis = jobs.connection
    ids = ["finished", "failed", "scheduled", "due", "started", "expired", "queued"]
    jobs.enqueue_all([new(id, n=1) for id in ids])
    claimed = {job.id: job for job in jobs.claim("token", 60, 6)}
    jobs.complete("token", ["finished"])
    jobs.bury(claimed["failed"], "permanent_error", "Broken", "it broke")
    jobs.retry_later(claimed["scheduled"], 60, "Busy", "try again")
    jobs.retry_later(claimed["due"], 60, "Busy", "try again")
    make_due(redis, "due")
    end_lease(redis, "expired")
    return {id: {"due": "scheduled", "expired": "started"}.get(id, id) for id in ids}


def claim_one(jobs: JobQueue, token: str = "token") -> Claimed:
    """The next job, alone."""
    (job,) = jobs.claim(token, 60, 1)
    return job


def dead(jobs: JobQueue, id: str) -> None:
    """Make a dead letter of a new job."""
    jobs.enqueue(new(id, n=1))
    assert jobs.bury(claim_one(jobs), "permanent_error", "Broken", "it broke")


def make_suspect(jobs: JobQueue, id: str) -> None:
    """Make a new job outlive its worker once; it is queued last."""
    jobs.enqueue(new(id))
    assert claim_one(jobs).id == id
    end_lease(jobs.connection, id)
    assert jobs.rescue() == Rescued(expired=1)


def rescue(jobs: JobQueue) -> Rescued:
    """What the clock does, where the ledger has none of the jobs."""
    found = jobs.rescue()
    for job in found.suspects:
        assert jobs.bury(job, "crashed_worker", "LeaseExpired", "its worker died")
    return found


def now(redis: Redis) -> float:
    """The server's time."""
    seconds, microseconds = redis.time()
    return float(seconds + microseconds / 1e6)
