"""A job is in exactly one place, whatever happens in whatever order: held against a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis
from rq import Queue
from rq.job import Job, requeue_job
from rq.registry import (
    CanceledJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from app.queue import transitions
from app.queue.model import EVENTS, Claimed, decode
from app.queue.transitions import RESCUER, JobQueue
from tests.queue.modelled import Model
from tests.support.places import (
    FAILED,
    FINISHED,
    LIST,
    SCHEDULED,
    STARTED,
    end_lease,
    make_due,
    new,
    queued,
)

# Fewer lost leases than usual bury a job here, so that histories of this length come to it.
MOST = 2

BY_SESSION = "identity:by_session:events:"
WORKERS = st.integers(0, 2)
PICK = st.integers(0, 1000)


class QueueMachine(RuleBasedStateMachine):
    """Workers, clocks, operators and Stripe at one queue; some of them die."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        redis.flushall()
        self.redis = redis
        self.workers = [JobQueue(redis, EVENTS, f"worker{n}") for n in range(3)]
        self.queue = self.workers[0]
        self.jobs: dict[str, Model] = {}
        self.list: list[str] = []
        self.left_by_rq: set[str] = set()  # RQ's own requeue knows nothing of our index
        # What workers believe that they hold. A lease may be over, and the job elsewhere.
        self.held: list[Claimed] = []
        self.serial = 0

    def among(self, pick: int, *places: str) -> str:
        """One of the jobs in these places."""
        ids = [id for id, job in self.jobs.items() if job.place in places]
        return ids[pick % len(ids)]

    def any(self, *places: str) -> bool:
        """Whether a job is in these places."""
        return any(job.place in places for job in self.jobs.values())

    def to_queue(self, id: str, front: bool = False) -> None:
        """The model's way to the queue."""
        self.jobs[id].move("queued")
        self.list.insert(0 if front else len(self.list), id)

    def revive(self, id: str) -> None:
        """The model's way out of the dead letters."""
        self.jobs[id].attempts = self.jobs[id].expiries = 0
        self.to_queue(id)

    # Stripe, and the backfill

    def enqueue(self, id: str, delay: float) -> str:
        self.serial += 1
        return self.queue.enqueue(new(id, delay=delay, version=self.serial))

    @rule(count=st.integers(1, 3), delayed=st.booleans())
    def enqueue_new(self, count: int, delayed: bool) -> None:
        for _ in range(count):
            id = f"evt_{self.serial}"
            assert self.enqueue(id, 60.0 * delayed) == "enqueued"
            self.jobs[id] = Model(self.serial)
            if delayed:
                self.jobs[id].move("scheduled")
            else:
                self.to_queue(id)

    @rule(pick=PICK, delayed=st.booleans())
    @precondition(lambda self: self.jobs)
    def enqueue_again(self, pick: int, delayed: bool) -> None:
        id = list(self.jobs)[pick % len(self.jobs)]
        answer = self.enqueue(id, 60.0 * delayed)
        if self.jobs[id].place in ("failed", "canceled"):
            assert answer == "replayed"
            self.jobs[id].version = self.serial
            self.revive(id)
        else:
            assert answer == "duplicate"

    # Workers

    def claimable(self, most: int) -> list[str]:
        """The ids a claim has to take: a suspect only alone."""
        ids: list[str] = []
        for id in self.list[:most]:
            suspect = self.jobs[id].expiries > 0 and not self.jobs[id].by_rq
            if suspect and ids:
                break
            ids.append(id)
            if suspect:
                break
        return ids

    def take(self, worker: int, most: int) -> list[Claimed]:
        """A claim of this worker."""
        self.serial += 1
        token = f"w{worker}-{self.serial}"
        expected = self.claimable(most)
        claimed = self.workers[worker].claim(token, 60, most)
        assert [job.id for job in claimed] == expected
        for job in claimed:
            model = self.jobs[job.id]
            if model.by_rq:
                model.attempts = model.expiries = 0
            assert decode(job.data) == (EVENTS.function, [{"version": model.version}])
            assert job.attempts == model.attempts
            self.list.remove(job.id)
            model.move("started", token)
        return claimed

    @rule(worker=WORKERS, most=st.integers(1, 4))
    def claim(self, worker: int, most: int) -> None:
        self.held += self.take(worker, most)

    @rule(worker=WORKERS, most=st.integers(1, 4))
    def claim_unheard(self, worker: int, most: int) -> None:
        """The claim is made, but the worker or its connection dies before the answer."""
        self.take(worker, most)

    @rule(worker=WORKERS, most=st.integers(1, 4))
    @precondition(lambda self: self.list)
    def killed_by_its_job(self, worker: int, most: int) -> None:
        for job in self.take(worker, most):
            self.end_lease(job.id)
        self.rescue_and_promote()

    @rule(worker=WORKERS)
    def crash(self, worker: int) -> None:
        self.held = [job for job in self.held if not job.token.startswith(f"w{worker}-")]

    def owns(self, job: Claimed) -> bool:
        """Whether the lease is still this one."""
        model = self.jobs.get(job.id)
        return model is not None and (model.place, model.token) == ("started", job.token)

    def end_one(self, pick: int, place: str, act: Callable[[Claimed], bool]) -> None:
        """One held job ends by `act`, with one attempt more if the lease was still its own."""
        job = self.held.pop(pick % len(self.held))
        owned = self.owns(job)
        assert act(job) is owned
        assert act(job) is False  # sent again, as by a connection that was mended
        if owned:
            self.jobs[job.id].attempts += 1
            self.jobs[job.id].move(place)

    def end_batch(self, pick: int, act: Callable[[str, list[str]], int]) -> list[str]:
        """All that is held by one token ends by `act`; the ids whose lease was still its own."""
        token = self.held[pick % len(self.held)].token
        batch = [job for job in self.held if job.token == token]
        self.held = [job for job in self.held if job.token != token]
        owned = [job.id for job in batch if self.owns(job)]
        assert act(token, [job.id for job in batch]) == len(owned)
        assert act(token, [job.id for job in batch]) == 0
        return owned

    @rule(pick=PICK)
    @precondition(lambda self: self.held)
    def retry_later(self, pick: int) -> None:
        self.end_one(pick, "scheduled", lambda job: self.queue.retry_later(job, 60, "Busy", "busy"))

    @rule(pick=PICK)
    @precondition(lambda self: self.held)
    def bury(self, pick: int) -> None:
        self.end_one(pick, "failed", lambda job: self.queue.bury(job, "no", "Broken", "broken"))

    @rule(pick=PICK)
    @precondition(lambda self: self.held)
    def complete(self, pick: int) -> None:
        for id in self.end_batch(pick, self.queue.complete):
            self.jobs[id].attempts = self.jobs[id].expiries = 0  # no longer kept
            self.jobs[id].move("finished")

    @rule(pick=PICK)
    @precondition(lambda self: self.held)
    def release(self, pick: int) -> None:
        for id in reversed(self.end_batch(pick, self.queue.release)):
            self.to_queue(id, front=True)

    # Time

    def end_lease(self, id: str) -> None:
        """The time of a lease has passed, and no clock has looked yet."""
        end_lease(self.redis, id)
        self.jobs[id].time_is_over = True

    @rule(pick=PICK)
    @precondition(lambda self: self.any("started"))
    def lease_ends(self, pick: int) -> None:
        self.end_lease(self.among(pick, "started"))

    @rule(pick=PICK)
    @precondition(lambda self: self.any("scheduled"))
    def becomes_due(self, pick: int) -> None:
        id = self.among(pick, "scheduled")
        make_due(self.redis, id)
        self.jobs[id].time_is_over = True

    @rule(pick=PICK)
    @precondition(lambda self: self.any("finished"))
    def hour_passes(self, pick: int) -> None:
        """Redis forgets the job by itself; the registry's entry stays until somebody sweeps."""
        id = self.among(pick, "finished")
        self.redis.delete(f"rq:job:{id}")
        self.redis.zadd(FINISHED, {id: 1})
        del self.jobs[id]

    @rule()
    def rescue_and_promote(self) -> None:
        over = {id: job for id, job in self.jobs.items() if job.time_is_over}
        expired = due = 0
        suspects = []
        back = []
        for id, job in over.items():
            if job.place == "scheduled":
                due += 1
                back.append(id)
                continue
            job.expiries += 1
            if job.expiries >= MOST:
                suspects.append(id)
                job.move("started", RESCUER)
            else:
                expired += 1
                back.append(id)
        found = self.queue.rescue()
        assert found.expired == expired
        assert sorted(job.id for job in found.suspects) == sorted(suspects)
        # Whoever held it before has the same token, and so the same job, not a second.
        known = {job.id for job in self.held if job.token == RESCUER}
        self.held += [job for job in found.suspects if job.id not in known]
        assert self.queue.promote() == due
        # Those that come back stand behind the others; which of them is first is nobody's matter.
        tail = queued(self.redis)[-len(back) :] if back else []
        assert sorted(tail) == sorted(back)
        for id in tail:
            self.to_queue(id)

    # Operators

    @rule(picks=st.lists(PICK, max_size=3, unique=True), operation=st.sampled_from("rd"))
    @precondition(lambda self: self.any("failed"))
    def replay_or_discard(self, picks: list[int], operation: str) -> None:
        """Of all jobs, not only the dead."""
        ids = [self.among(0, "failed"), *(list(self.jobs)[n % len(self.jobs)] for n in picks)]
        dead = [id for id in dict.fromkeys(ids) if self.jobs[id].place == "failed"]
        act = self.queue.replay if operation == "r" else self.queue.discard
        assert act(ids) == len(dead)
        for id in dead:
            if operation == "r":
                self.revive(id)
            else:
                del self.jobs[id]

    @rule(pick=PICK)
    @precondition(lambda self: self.any("failed"))
    def requeue_through_rq(self, pick: int) -> None:
        id = self.among(pick, "failed")
        requeue_job(id, self.redis, serializer=JSONSerializer)
        self.left_by_rq.add(id)
        self.to_queue(id)
        self.jobs[id].by_rq = True

    @rule(pick=PICK)
    @precondition(lambda self: self.any("queued", "scheduled", "failed"))
    def cancel_through_rq(self, pick: int) -> None:
        id = self.among(pick, "queued", "scheduled", "failed")
        Job.fetch(id, connection=self.redis, serializer=JSONSerializer).cancel()
        self.left_by_rq.add(id)
        if id in self.list:
            self.list.remove(id)
        self.jobs[id].move("canceled")

    @rule()
    def read_through_rq(self) -> None:
        counted = {"queued": Queue("identity-events", connection=self.redis).count}
        for place, kind in (
            ("started", StartedJobRegistry),
            ("scheduled", ScheduledJobRegistry),
            ("failed", FailedJobRegistry),
            ("finished", FinishedJobRegistry),
        ):
            registry = kind("identity-events", self.redis, serializer=JSONSerializer)
            if place != "finished":  # no reader may end a lease or clear a dead letter, ever
                registry.cleanup(self.redis.time()[0] + 365 * 86400)
            counted[place] = registry.count
        places = [job.place for job in self.jobs.values()]
        assert CanceledJobRegistry("identity-events", self.redis).count == places.count("canceled")
        assert counted == {place: places.count(place) for place in counted}

    # What always holds

    @invariant()
    def each_job_is_where_it_should_be_and_only_there(self) -> None:
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.lrange(LIST, 0, -1)
            for key in (STARTED, SCHEDULED, FAILED):
                pipeline.zrange(key, 0, -1)
            # An entry of the last hour's end is only waiting to be swept.
            pipeline.zrange(FINISHED, 2, "+inf", byscore=True)
            pipeline.keys("rq:job:*")
            for id in self.jobs:
                pipeline.hmget(f"rq:job:{id}", "status", "attempts", "expiries")
            queued, started, scheduled, failed, finished, hashes, *fields = pipeline.execute()

        assert [id.decode() for id in queued] == self.list
        assert {m.decode() for m in started} == {
            f"{id}:{job.token}" for id, job in self.jobs.items() if job.place == "started"
        }
        for name, found in (("scheduled", scheduled), ("failed", failed), ("finished", finished)):
            expected = {id for id, job in self.jobs.items() if job.place == name}
            assert {id.decode() for id in found} == expected
        assert {key.decode() for key in hashes} == {f"rq:job:{id}" for id in self.jobs}
        for job, (status, attempts, expiries) in zip(self.jobs.values(), fields, strict=True):
            assert status == job.place.encode()
            assert (int(attempts or 0), int(expiries or 0)) == (job.attempts, job.expiries)

    @invariant()
    def what_is_scheduled_or_failed_is_found_by_its_session_and_nothing_else(self) -> None:
        """The session is the last word of a job's description: here, the job's own id."""
        keys = list(self.redis.scan_iter(f"{BY_SESSION}*"))
        indexed = {key.decode().removeprefix(BY_SESSION) for key in keys}
        held = {id for id, job in self.jobs.items() if job.place in ("scheduled", "failed")}
        assert held <= indexed
        assert indexed - held <= self.left_by_rq

    @invariant()
    def no_job_is_lost_or_doubled_in_the_model_itself(self) -> None:
        places = [id for id, job in self.jobs.items() if job.place == "queued"]
        assert sorted(places) == sorted(self.list)


def run(redis: Redis, examples: int, steps: int) -> None:
    """Play so many histories of so many steps."""
    run_state_machine_as_test(
        partial(QueueMachine, redis),  # type: ignore[arg-type]  # any callable that makes one
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(autouse=True)
def fewer_expiries(monkeypatch: pytest.MonkeyPatch) -> None:
    """MOST instead of the usual number."""
    monkeypatch.setattr(transitions, "MAX_EXPIRIES", MOST)


def test_a_job_is_always_in_exactly_one_place(redis: Redis) -> None:
    run(redis, 60, 40)


@pytest.mark.slow
def test_a_job_is_always_in_exactly_one_place_over_long_histories(redis: Redis) -> None:
    run(redis, 1000, 60)
