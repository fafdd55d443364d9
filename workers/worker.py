"""Our RQ worker: RQ's registration, signals, suspension and heartbeats, our transitions."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from redis.exceptions import OutOfMemoryError, RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from rq.worker import WorkerStatus

from app.domain.errors import QueueUnavailable
from app.logs import get_logger
from app.queue.connection import translated_errors
from app.queue.model import Call, Claimed, decode
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

Run = Callable[[Sequence[Call]], None]


class StopWaiting(Exception):
    """A stop signal came while the worker held nothing: leave the wait."""


class TimeLimit(UnixSignalDeathPenalty):
    """RQ's, but for parts of a second as well."""

    def setup_death_penalty(self) -> None:
        """Have the exception raised in the main thread when the time is over."""
        signal.signal(signal.SIGALRM, self.handle_death_penalty)
        signal.setitimer(signal.ITIMER_REAL, self._timeout)


class Worker(SimpleWorker):
    """Claims jobs of one queue, runs them in this process, and completes them."""

    death_penalty_class = TimeLimit

    # RQ logs a job's description, and on failure its arguments.
    log_job_description = False
    log_result_lifespan = False

    def __init__(
        self,
        queue: JobQueue,
        run: Run,
        *,
        lease: int,
        token: Callable[[], str],
        chance: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        progress: Callable[[float], None] = lambda limit: None,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> None:
        """`run(calls)` runs one job, or several that stand or fall as one. `lease` is in seconds.

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
        self._run_calls = run
        self._lease = lease
        # Half a lease, so that a job begun in its first half ends within it.
        self.time_limit = max(1, min(queue.spec.time_limit, lease // 2))
        # Less than that, so that after a batch that was too slow at least one job of it can be
        # begun under the same lease: else the same batch would be claimed and fail for ever.
        self.batch_limit = self.time_limit / 2
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
        """Run the jobs together or, if that fails, one by one; returns how many were run.

        Those that are done are completed in one go, and those that were not begun are released.
        """
        token = claimed[0].token
        calls = self._decode(claimed)
        if len(calls) > 1 and self._run_together(calls):
            self.jobs.complete(token, [job.id for job, _ in calls])
            return len(claimed)
        done, begun = [], 0
        latest_start = began + self._lease - self.time_limit
        for job, call in calls:
            if self._stop_requested or self._clock() > latest_start:
                break
            begun += 1
            if self._run_alone(job, call):
                done.append(job.id)
        self.jobs.complete(token, done)
        self.jobs.release(token, [job.id for job, _ in calls[begun:]])
        return len(claimed) - len(calls) + begun

    def _decode(self, claimed: list[Claimed]) -> list[tuple[Claimed, Call]]:
        """What the jobs ask for; one that cannot be read is buried, and holds up no other."""
        calls = []
        for job in claimed:
            try:
                calls.append((job, decode(job.data)))
            except Exception as error:  # a ValueError, or JSON nested too deep
                self._fail(job, error)
        return calls

    def _run_together(self, calls: list[tuple[Claimed, Call]]) -> bool:
        """True if all are done; else none is, and each is to be run alone."""
        try:
            self._run_limited(calls, self.batch_limit)
        except Exception as error:
            error_class, message = describe(error)
            log.warning(
                "batch failed; its jobs are run one by one",
                jobs=len(calls),
                error_class=error_class,
                error=message,
            )
            return False
        return True

    def _run_alone(self, job: Claimed, call: Call) -> bool:
        """True if the job is done; else it was deferred or buried."""
        try:
            self._run_limited([(job, call)], self.time_limit)
        except Exception as error:
            self._fail(job, error)
            return False
        return True

    def _run_limited(self, calls: list[tuple[Claimed, Call]], limit: float) -> None:
        """Run jobs within `limit` seconds. Raises what they raise."""
        self._progress(limit)
        try:
            with self.death_penalty_class(limit, JobTimeoutException, job_id=calls[0][0].id):
                self._run_calls([call for _, call in calls])
        finally:
            self._progress(0)

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
