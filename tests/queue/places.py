"""Where the server keeps a job, read without the code under test; and time made to pass."""

from __future__ import annotations

from redis import Redis

from app.queue.jobs import JobQueue
from app.queue.model import NewJob

LIST = "rq:queue:events"
STARTED = "rq:wip:events"
SCHEDULED = "rq:scheduled:events"
FAILED = "rq:failed:events"
FINISHED = "rq:finished:events"

# More than any lease or delay of a test, and far less than the ten years a lease is kept on.
LONG = 1_000_000


def new(id: str, delay: float = 0, **payload: object) -> NewJob:
    """A job of a short description."""
    return NewJob(id, payload, f"event {id}", delay)


def places(redis: Redis, id: str) -> list[str]:
    """Every place that names the job, one entry for each time it does."""
    found = ["queued"] * redis.lrange(LIST, 0, -1).count(id.encode())
    found += ["started" for m in redis.zrange(STARTED, 0, -1) if m.decode().startswith(f"{id}:")]
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
    value = redis.hget(f"rq:job:{id}", name)
    return None if value is None else value.decode()


def queued(redis: Redis) -> list[str]:
    """The queue's ids, the next one first."""
    return [id.decode() for id in redis.lrange(LIST, 0, -1)]


def everything(redis: Redis) -> dict[bytes, tuple[bytes, int]]:
    """Every key with its exact value and the moment it expires."""
    keys = sorted(redis.keys())
    return {key: (redis.dump(key), redis.pexpiretime(key)) for key in keys}


def end_lease(redis: Redis, id: str) -> None:
    """The time of the job's lease has passed."""
    for member in redis.zrange(STARTED, 0, -1):
        if member.decode().startswith(f"{id}:"):
            redis.zincrby(STARTED, -LONG, member)


def make_due(redis: Redis, id: str) -> None:
    """The time of the job's schedule has come."""
    assert redis.zscore(SCHEDULED, id) is not None
    redis.zincrby(SCHEDULED, -LONG, id)


def one_of_each(jobs: JobQueue) -> dict[str, str]:
    """A job in each place, those whose time has come among them: id to place."""
    redis = jobs.connection
    ids = ["finished", "failed", "scheduled", "due", "started", "expired", "queued"]
    jobs.accept_all([new(id, n=1) for id in ids])
    claimed = {job.id: job for job in jobs.claim("token", 60, 6)}
    jobs.settle("token", ["finished"])
    jobs.bury(claimed["failed"], "permanent_error", "Broken", "it broke")
    jobs.defer(claimed["scheduled"], 60, "Busy", "try again")
    jobs.defer(claimed["due"], 60, "Busy", "try again")
    make_due(redis, "due")
    end_lease(redis, "expired")
    return {id: {"due": "scheduled", "expired": "started"}.get(id, id) for id in ids}
