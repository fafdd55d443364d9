"""Fields of many jobs, read in one round trip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from redis import Redis
from rq.job import Job

from app.batches import batches
from app.queue.connection import translated_errors

READ = (Path(__file__).parent / "read.lua").read_text()
# Jobs in one call: so many keep Redis for about a millisecond.
MAX_READ = 1_000


class JobFields:
    """Reads the jobs of one connection."""

    def __init__(self, connection: Redis) -> None:
        """`connection` is one of `open_redis`."""
        self._script = connection.register_script(READ)

    def read(self, ids: Sequence[str], names: Sequence[str]) -> list[list[bytes | None]]:
        """These fields of each job, in the order of both; all None of a job that is gone.

        Raises QueueUnavailable.
        """
        found: list[list[bytes | None]] = []
        for batch in batches(ids, MAX_READ):
            with translated_errors():
                answer = self._script(
                    [], [Job.redis_job_namespace_prefix, json.dumps(names), *batch]
                )
            found += cast(list[list[bytes | None]], answer)
        return found
