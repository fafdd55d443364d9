"""100,000 dead letters: listed within seconds, replayed in flat memory. `-s` shows the numbers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.batches import batches
from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import EVENTS, failed_result
from app.queue.transitions import JobQueue
from tests.support.deployment import letter
from tests.support.stores import migrated_file

ROOT = Path(__file__).parents[3]
MANY = 100_000

pytestmark = pytest.mark.slow


def tell(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")


def bury_all(redis: Redis, number: int) -> None:
    """Dead letters by the real transitions, many to a round trip."""
    queue = JobQueue(redis, EVENTS)
    jobs = (letter(f"evt_{n:024}", reference=f"user-{n}") for n in range(number))
    for batch in batches(jobs, 2_000):
        queue.enqueue_all(batch)
        claimed = queue.claim("token", 600, len(batch))
        with redis.pipeline(transaction=False) as pipeline:
            for job in claimed:
                told = ["permanent_error", "LedgerBroken", "the ledger refused a statement"]
                result = failed_result(": ".join(told), "a worker")
                counted = queue._counted(job)
                arguments = ["rq:job:", job.token, job.id, *told, "", *counted, *result]
                queue._scripts["bury"](queue._keys, arguments, pipeline)
            assert sum(pipeline.execute()) == len(batch)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server of its own that holds the letters, and an empty ledger."""
    folder = tmp_path_factory.mktemp("scale")
    with Valkey(folder / "valkey", fsync="no") as server, open_redis(server.url) as redis:
        began = time.monotonic()
        bury_all(redis, MANY)
        tell(f"{MANY} letters buried in {time.monotonic() - began:.1f} s")
        yield {
            "PATH": "/usr/bin:/bin",
            "REDIS_URL": server.url,
            "DATABASE_URL": f"sqlite:///{migrated_file(folder)}",
        }


@pytest.mark.parametrize("filters", ["", "--json", "--status verified", "--reference user-7"])
def test_a_hundred_thousand_letters_are_listed_within_seconds(
    environment: dict[str, str], filters: str
) -> None:
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "app", "dlq", "list", *filters.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - began
    tell(f"{MANY} letters, `dlq list {filters}`: {seconds:.2f} s, with Python's start")
    assert ("1  permanent_error" if "user-7" in filters else "100000") in ran.stdout
    # Under 3 s where nothing else runs; the tests share two cores.
    assert seconds < 60


def test_a_hundred_thousand_letters_are_replayed_in_flat_memory_at_the_workers_pace(
    environment: dict[str, str],
) -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "tests.operations.replaying"),
            *(environment["REDIS_URL"], environment["DATABASE_URL"]),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(ran.stdout)
    held = {int(tens): kilobytes for tens, kilobytes in told["kilobytes"].items()}
    tell(
        f"{MANY} letters replayed in {told['seconds']:.1f} s: {MANY / told['seconds']:.0f}/s;"
        f" memory at 10,000: {held[1] / 1024:.1f} MB, at 100,000: {held[10] / 1024:.1f} MB"
    )
    assert told["unchanged"] == MANY
    assert held[10] - held[1] < 5 * 1024
    # Workers apply some hundreds a second each.
    assert MANY / told["seconds"] > 1_000
