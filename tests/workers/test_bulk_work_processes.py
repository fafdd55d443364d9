"""An operation outlives the process that carries it out: real workers, and `kill -9`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.batches import batches
from app.ledger.operations import Operation
from app.local.valkey import Valkey
from tests.operations.bulk.starting import started
from tests.support.cli import ROOT
from tests.support.deployment import Deployment, letter
from tests.support.ledger import count_events
from tests.support.waiting import eventually

LETTERS = 1_500

pytestmark = pytest.mark.slow


@contextmanager
def workers(log: Path, redis_url: str, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m workers`, until the end of the block."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", "workers"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "EVENT_WORKERS": "1",
                "REDIS_URL": redis_url,
                "DATABASE_URL": database_url,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def clocks(log: Path) -> list[int]:
    """The ids of the clocks that have been started so far."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    started = [line for line in lines if line["event"] == "child started"]
    return [line["pid"] for line in started if line["child"] == "clock"]


def test_killed_in_the_middle_it_is_carried_out_to_the_end_and_no_letter_twice(
    deployment: Deployment, valkey: Valkey, tmp_path: Path
) -> None:
    jobs = [letter(f"evt_{n}", reference=f"user-{n}") for n in range(LETTERS)]
    for batch in batches(jobs, 500):
        deployment.bury(*batch)
    operation = started(deployment, rate=200.0)

    def row() -> Operation:
        found = deployment.stores.operations.get(operation.id)
        assert found is not None
        return found

    log = tmp_path / "workers.log"
    with workers(log, valkey.url, deployment.database_url) as process:
        eventually(lambda: row().done >= 400, 60)
        os.kill(clocks(log)[-1], signal.SIGKILL)
        eventually(lambda: len(clocks(log)) == 2, 30)
        eventually(lambda: row().done >= 800, 60)
        process.terminate()  # all of them, as at a deploy
        process.wait(30)
        left = row()
    assert (left.state, left.over) == ("running", False)
    with workers(log, valkey.url, deployment.database_url):
        eventually(lambda: row().over, 60)
    ended = row()
    assert (ended.state, ended.done, ended.failed, ended.gone) == ("done", LETTERS, 0, 0)
    assert deployment.dead == set()
    assert count_events(deployment.stores.engine) == LETTERS
