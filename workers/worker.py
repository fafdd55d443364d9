"""Our RQ worker: RQ's signals, suspension and heartbeats, our transitions."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from redis.exceptions import RedisError
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from rq.worker import WorkerStatus

from app.domain.errors import QueueRefused, QueueUnavailable, StoreFailure
from app.logs import get_logger
from app.outages import Outages
from app.queue.connection import translated_errors
from app.queue.model import Call, Claimed, decode
from app.queue.retry_policy import describe
from app.queue.transitions import JobQueue
from workers.failing import Failing
from workers.lookahead import Batch, Lookahead
from workers.outage import Outage
from workers.registration import RegisteredWorker
from workers.suspension import Suspension
from workers.time_limit import TimeLimit

log = get_logger("worker")

# Seconds between a worker's signs of life, and the time after which RQ forgets one without.
HEARTBEAT = 15
WORKER_TTL = 60
# Seconds between looks whether the workers are paused.
LOOK_AT_SUSPENSION = 1.0
# Seconds between looks whether a later release has made the ledger's schema another.
LOOK_AT_SCHEMA = 5.0
# Seconds to wait for Redis to come back: first, and at most.
FIRST_WAIT, MAX_WAIT = 0.5, 5.0
# The step that fails while Redis is away.
WORK = "work"

Run = Callable[[Sequence[Call]], None]


class StopWaiting(Exception):
    """A stop signal came while the worker held nothing: leave the wait."""


class Worker(RegisteredWorker):
    """Claims jobs of one queue, runs them in this process, and completes them."""

    death_penalty_class = TimeLimit

    def __init__(  # noqa: PLR0913  # each is a part of the world that tests replace
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
        bare: Callable[[bytes, float], bytes] = lambda data, limit: b"",
        check_ledger: Callable[[], object] = lambda: None,
        check_schema: Callable[[], object] = lambda: None,
        outages: Outages | None = None,
    ) -> None:
        """`run(calls)` runs one job, or several that stand or fall as one. `lease` is in seconds.

        `token` names a lease, `chance` spreads retries. `progress(limit)` is told before each job
        how long it may take, and 0 after it. The worker stops where `abandoned()`: its supervisor
        is gone. `bare(data, limit)` says in `limit` seconds what a failed job keeps of its data;
        b"" for all of it. `check_ledger()` raises LedgerUnavailable while the ledger is away,
        `check_schema()` LedgerTooNew where this release is too old for its schema. `outages` tells
        the log. Raises QueueUnavailable and QueueRefused.
        """
        with translated_errors():
            super().__init__(
                [queue.spec.rq_name],
                connection=queue.connection,
                serializer=JSONSerializer,
                worker_ttl=WORKER_TTL,
                log_job_description=False,
            )
        # A claim names its worker, as RQ's own does.
        self.jobs = queue.of_worker(self.name)
        self._run_calls = run
        self._lease = lease
        # Half a lease, so that a job begun in its first half ends within it.
        self.time_limit = max(1, min(queue.spec.time_limit, lease // 2))
        # Less than that, so that after a batch that was too slow at least one job of it can be
        # begun under the same lease: else the same batch would be claimed and fail for ever.
        self.batch_limit = self.time_limit / 2
        self._batches = Lookahead(self.jobs, lease=lease, token=token, clock=clock)
        self._clock = clock
        self._progress = progress
        self._abandoned = abandoned
        # Seconds for a question to the ledger, of which a failure asks two, out of the lease.
        self.asking_limit = min(2.0, lease / 10)
        self._failing = Failing(self.jobs, chance, lambda data: bare(data, self.asking_limit))
        self._outages = outages or Outages(clock)
        self._outage = Outage(check_ledger, self.asking_limit, self._outages, check_schema)
        self._waiting = False
        self._next_heartbeat = self._next_look = self._next_schema_look = clock()
        self._suspension = Suspension(queue.connection, self.name)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the job at hand. Every further signal says the same."""
        self._stop_requested = True
        if self._waiting:
            raise StopWaiting

    def work(self, *_: Any, **__: Any) -> bool:
        """Work until a signal asks to stop. While Redis is away, or refuses, it waits."""
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
                    self._outages.succeeded(WORK)
                except (QueueUnavailable, QueueRefused) as failure:
                    self._outages.failed(WORK, failure)
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
        if self._suspension.on:
            self._batches.release()
            self._pause(LOOK_AT_SUSPENSION)
            return 0
        self._look_at_schema()
        if self._outage.on and self._outage.lasts():
            self._pause(self._outage.next_wait())
            return 0
        batch = self._batches.next_batch()
        if not batch.jobs:
            if self._state == WorkerStatus.BUSY:
                self._state = WorkerStatus.IDLE  # the claim has written it
            self._wait_for_job()
            return 0
        self._state = WorkerStatus.BUSY  # the claim has written it
        return self._run_batch(batch)

    def _run_batch(self, batch: Batch) -> int:
        """Run the jobs together or, if that fails, one by one; returns how many were run.

        Those that are done are completed in one go, and those that were not begun are released.
        """
        calls = self._decode(batch.jobs)
        if len(calls) > 1 and self._run_together(calls):
            self._batches.complete(batch.token, calls)
            return len(batch.jobs)
        self._batches.release()  # one by one may take longer than the next batch's lease
        done: list[tuple[Claimed, Call]] = []
        begun = 0
        may_take = self.time_limit + 2 * self.asking_limit
        latest_start = batch.claimed_at + self._lease - may_take
        for job, call in calls:
            if self._stop_requested or self._outage.on or self._clock() > latest_start:
                break
            begun += 1
            error = self._run_alone(job, call)
            if error is None:
                done.append((job, call))
            elif self._outage.explains(error):
                begun -= 1  # it waits with the others, and has made no attempt
            else:
                self._failing.end(job, error)
        self._batches.complete(batch.token, done)
        self.jobs.release(batch.token, [job.id for job, _ in calls[begun:]])
        return len(batch.jobs) - len(calls) + begun

    def _decode(self, claimed: list[Claimed]) -> list[tuple[Claimed, Call]]:
        """What the jobs ask for; one that cannot be read is buried, and holds up no other."""
        calls = []
        for job in claimed:
            try:
                calls.append((job, decode(job.data)))
            except Exception as error:  # a ValueError, or JSON nested too deep
                self._failing.end(job, error)
        return calls

    def _run_together(self, calls: list[tuple[Claimed, Call]]) -> bool:
        """True if all are done; else none is, and each is to be run alone."""
        try:
            self._run_limited(calls, self.batch_limit)
        except Exception as error:
            error_class, message = describe(error)
            log.warning(
                "batch failed; its jobs are run one by one",
                job_count=len(calls),
                error_class=error_class,
                error=message,
            )
            self._outage.explains(error)
            return False
        return True

    def _run_alone(self, job: Claimed, call: Call) -> Exception | None:
        """None if the job is done; else why it is not."""
        try:
            self._run_limited([(job, call)], self.time_limit)
        except Exception as error:
            return error
        return None

    def _run_limited(self, calls: list[tuple[Claimed, Call]], limit: float) -> None:
        """Run jobs within `limit` seconds. Raises what they raise."""
        began = self._clock()
        self._progress(limit)
        try:
            with self.death_penalty_class(limit, JobTimeoutException, job_id=calls[0][0].id):
                self._run_calls([call for _, call in calls])
        finally:
            self._progress(0)
            self.jobs.tally.observe("run", seconds=self._clock() - began)

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
                if self._suspension.look():
                    on = self._suspension.on
                    self.set_state(WorkerStatus.SUSPENDED if on else WorkerStatus.STARTED)
                self._next_look = now + LOOK_AT_SUSPENSION

    def _look_at_schema(self) -> None:
        """Without waiting for a failure: what an old release writes may be wrong and be taken."""
        now = self._clock()
        if self._outage.on or now < self._next_schema_look:
            return
        self._next_schema_look = now + LOOK_AT_SCHEMA
        if self._outage.begins_by_schema():
            self._batches.release()

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
            self._batches.release()
            self.jobs.stop_waiting()
            self.register_death()
            self.unsubscribe()
        except (RedisError, StoreFailure):
            log.warning("left without telling Redis, which is away", worker=self.name)
        log.info("worker stopped", worker=self.name)
