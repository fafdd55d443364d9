"""The jobs that are not done yet, and what each calls: read in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from app.queue.connection import translated_errors
from app.queue.model import keys_of
from app.queue.transitions import JobQueue

PAGE = 500


def waiting(jobs: JobQueue) -> Iterator[dict[str, bytes]]:
    """Every job that is queued, scheduled or in work, a page at a time: what it calls, by its id.

    What moves meanwhile may be seen twice. Raises QueueUnavailable.
    """
    queued, _, started, scheduled, *_ = keys_of(jobs.spec, "")
    # From the end, as jobs leave at the front: counted from there, none would move past unseen.
    last = -1
    while page := _read(jobs, "lrange", queued, last - PAGE + 1, last):
        yield jobs.calls_of(page)
        last -= PAGE
    for registry in (scheduled, started):
        first = 0
        while page := _read(jobs, "zrange", registry, first, first + PAGE - 1):
            # A lease is an id, a colon, and a token.
            ids = [id.rpartition(":")[0] for id in page] if registry == started else page
            yield jobs.calls_of(ids)
            first += PAGE


def _read(jobs: JobQueue, command: str, key: str, first: int, last: int) -> list[str]:
    with translated_errors():
        found: Any = getattr(jobs.connection, command)(key, first, last)
    return [id.decode() for id in cast(list[bytes], found)]
