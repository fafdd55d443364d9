"""What our worker is to RQ: one of its workers, registered, with signs of life."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from redis.exceptions import OutOfMemoryError
from rq import SimpleWorker
from rq.worker import WorkerStatus

from app.domain.errors import QueueUnavailable
from app.logs import get_logger
from app.queue.connection import translated_errors
from app.queue.failures import failure_of
from app.queue.retry_policy import describe

log = get_logger("worker")

# Seconds until RQ's commands are listened for again, after Redis was away.
LISTEN_AGAIN = 2.0


class RegisteredWorker(SimpleWorker):
    """RQ's worker, as far as it announces itself; what it would do with jobs is not used."""

    # RQ logs a job's description, and on failure its arguments.
    log_job_description = False
    log_result_lifespan = False

    def _set_connection(self, connection: Any) -> Any:
        """RQ would raise the socket's timeout to minutes; our waits are shorter than ours."""
        return connection

    def run_maintenance_tasks(self) -> None:
        """The clock's `rescue` does what is needed, atomically."""

    def bootstrap(self, *_: Any, **__: Any) -> None:
        """Register with RQ and listen to its commands; logging stays as we have set it up.

        Raises QueueUnavailable and QueueRefused.
        """
        with translated_errors():
            self.register_birth()
            self.subscribe()  # type: ignore[no-untyped-call]  # RQ's
            self.set_state(WorkerStatus.STARTED)

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """RQ would write a line each two seconds: that Redis is away, the worker tells itself."""
        failure = failure_of(exc)
        if isinstance(failure, QueueUnavailable):
            time.sleep(LISTEN_AGAIN)
            return
        pubsub_thread.stop()
        error_class, message = describe(failure or exc)
        log.error("RQ's commands are not heard any more", error_class=error_class, error=message)

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
