"""Our RQ worker: RQ's registration, signals, suspension and heartbeats, our transitions."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from redis.exceptions import OutOfMemoryError, RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.timeouts import JobTimeoutException
from rq.worker import WorkerStatus

from app.domain.errors import QueueUnavailable
from app.logs import get_logger
from app.queue.connection import translated_errors
from app.queue.model import Claimed, decode
from app.queue.retry_policy import Bury, decide, describe
from app.queue.transitions import JobQueue

log = get_logger("worker")

# Seconds between a worker's signs of life, and the time after which RQ forgets one without.
HEARTBEAT = 15
WORKER_TTL = 60
# Seconds between looks at `rq suspend`.
LOOK_AT_SUSPENSION = 1.0
# Seconds to wait for Redis to come back: first, and at most.
FIRST_WAIT, MAX_WAIT = 0.5, 5.0

Call = Callable[[str, list[Any]], None]


class StopWaiting(Exception):
    """A stop signal came while the worker held nothing: leave the wait."""


class Worker(SimpleWorker):
    """Claims jobs of one queue, runs them in this process, and completes them."""

    # RQ logs a job's description, and on failure its arguments.
    log_job_description = False
    log_result_lifespan = False

    def __init__(
        self,
        queue: JobQueue,
        call: Call,
        *,
        lease: int,
        token: Callable[[], str],
        chance: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        progress: Callable[[float], None] = lambda limit: None,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> None:
        """`call(function, arguments)` runs a job. `lease` is in seconds.

        `token` names a lease, `chance` spreads retries. `progress(limit)` is told before each job
        how long it may take, and 0 after it. The worker stops where `abandoned()`: its supervisor
        is gone. Raises redis' errors if Redis is away.
        """
        super().__init__(
            [queue.spec.name],
            connection=queue.connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            log_job_description=False,
        )
        # A claim names its worker, as RQ's own does.
        self.jobs = JobQueue(queue.connection, queue.spec, self.name)
        self._call = call
        self._lease = lease
        # Half a lease, so that a job begun in its first half ends within it.
        self.time_limit = max(1, min(queue.spec.time_limit, lease // 2))
        self._token = token
        self._chance = chance
        self._clock = clock
        self._progress = progress
        self._abandoned = abandoned
        self._waiting = False
        self._next_heartbeat = self._next_look = clock()
        self._suspended = False

    def _set_connection(self, connection: Any) -> Any:
        """RQ would raise the socket's timeout to minutes; our waits are shorter than ours."""
        return connection

    def run_maintenance_tasks(self) -> None:
        """The clock's `rescue` does what is needed, atomically."""

    def bootstrap(self, *_: Any, **__: Any) -> None:
        """Register with RQ and listen to its commands; logging stays as we have set it up."""
        self.register_birth()
        self.subscribe()
        self.set_state(WorkerStatus.STARTED)

    # A full Redis refuses what RQ tells it of us, but not our claims, which are what empties it.

    def register_birth(self) -> None:
        """RQ's, but not to a full Redis; the next sign of life then tries again."""
        with suppress(OutOfMemoryError):
            super().register_birth()  # type: ignore[no-untyped-call]

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """RQ's, but not to a full Redis."""
        with suppress(OutOfMemoryError):
            super().set_state(state, pipeline)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ's, but not to a full Redis."""
        with suppress(OutOfMemoryError):
            super().heartbeat(timeout, pipeline)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the job at hand. Every further signal says the same."""
        self._stop_requested = True
        if self._waiting:
            raise StopWaiting

    def work(self, *_: Any, **__: Any) -> bool:
        """Work until a signal asks to stop. Redis being away is waited for, however long."""
        self.bootstrap()
        signal.signal(signal.SIGINT, self.request_stop)
        signal.signal(signal.SIGTERM, self.request_stop)
        wait = FIRST_WAIT
        log.info("worker started", worker=self.name, queue=self.jobs.spec.name)
        try:
            while not self._stop_requested:
                try:
                    self.run_once()
                    wait = FIRST_WAIT
                except QueueUnavailable as error:
                    log.warning("waiting for Redis", worker=self.name, error=str(error))
                    self._pause(wait)
                    wait = min(wait * 2, MAX_WAIT)
        except StopWaiting:
            pass
        finally:
            self._leave()
        return True

    def run_once(self) -> int:
        """Claim and run one batch, or wait for a job; returns how many were run."""
        self._keep_alive()
        if self._suspended:
            self._pause(LOOK_AT_SUSPENSION)
            return 0
        began = self._clock()
        claimed = self.jobs.claim(self._token(), self._lease, self.jobs.spec.batch)
        if not claimed:
            self._wait_for_job()
            return 0
        self._state = WorkerStatus.BUSY  # the claim has written it
        return self._run_batch(claimed, began)

    def _run_batch(self, claimed: list[Claimed], began: float) -> int:
        """Run jobs one by one; those done are completed in one go, those not begun go back."""
        token, done, run = claimed[0].token, [], 0
        latest_start = began + self._lease - self.time_limit
        for job in claimed:
            if self._stop_requested or self._clock() > latest_start:
                break
            run += 1
            if self._run(job):
                done.append(job.id)
        self.jobs.complete(token, done)
        self.jobs.release(token, [job.id for job in claimed[run:]])
        return run

    def _run(self, job: Claimed) -> bool:
        """True if the job is done; else it was deferred or buried."""
        self._progress(self.time_limit)
        try:
            with self.death_penalty_class(self.time_limit, JobTimeoutException, job_id=job.id):
                function, arguments = decode(job.data)
                self._call(function, arguments)
        except Exception as error:
            self._fail(job, error)
            return False
        finally:
            self._progress(0)
        return True

    def _fail(self, job: Claimed, error: Exception) -> None:
        decision = decide(error, job.attempts, self._chance())
        error_class, message = describe(error)
        told = {"job": job.id, "error_class": error_class, "error": message}
        if isinstance(decision, Bury):
            self.jobs.bury(job, decision.reason, error_class, message)
            log.error("job buried", reason=decision.reason, **told)
        else:
            self.jobs.retry_later(job, decision.delay, error_class, message)
            log.warning("job deferred", seconds=round(decision.delay, 1), **told)

    def _keep_alive(self) -> None:
        """Send RQ a sign of life, and ask whether to rest; neither at every turn."""
        now = self._clock()
        self._stop_requested |= self._abandoned()  # before we ask Redis, which may be away as well
        with translated_errors():
            if now >= self._next_heartbeat:
                # A hash that RQ let expire while Redis was away is written anew.
                if not self.connection.exists(self.key):
                    self.register_birth()
                    self.set_state(self._state)
                self.heartbeat()
                self._next_heartbeat = now + HEARTBEAT
            if now >= self._next_look:
                suspended = bool(self.connection.exists(WORKERS_SUSPENDED))
                if suspended != self._suspended:
                    self._suspended = suspended
                    self.set_state(WorkerStatus.SUSPENDED if suspended else WorkerStatus.STARTED)
                self._next_look = now + LOOK_AT_SUSPENSION

    def _wait_for_job(self) -> None:
        if self._state != WorkerStatus.IDLE:
            with translated_errors():
                self.set_state(WorkerStatus.IDLE)
        self._waiting = True  # from here to its end a signal may break off what we do
        try:
            if not self._stop_requested:
                self.jobs.wait()
        finally:
            self._waiting = False

    def _pause(self, seconds: float) -> None:
        self._waiting = True
        try:
            if not self._stop_requested:
                time.sleep(seconds)
        finally:
            self._waiting = False

    def _leave(self) -> None:
        try:
            self.register_death()
            self.unsubscribe()
        except RedisError:
            log.warning("left without telling Redis, which is away", worker=self.name)
        log.info("worker stopped", worker=self.name)
