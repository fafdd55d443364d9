"""`python -m tests.releases.write`: keep what the release in the making writes.

Run it, and commit what it writes, whenever that changes before the release. What a release has
written is never written again: it stands in the Redis and the ledgers of those who use it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from packaging.version import Version

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import NewJob
from app.version import version
from tests.releases.holding import FOLDER, JOBS, LEDGER, keep_jobs, keep_ledger
from tests.support.deployment import Deployment, letter, opened_deployment
from tests.support.stores import migrated_file

THIN = NewJob(
    "evt_thin", ["evt_thin", "verified", 1_700_000_000, "", False, "vs_3"], "verified vs_3"
)


def fill(deployment: Deployment) -> None:
    """An event in each place where one may wait, an effect, and standings."""
    events = deployment.events
    deployment.apply(
        letter("evt_applied", "processing", "user-1"), letter("evt_done", "verified", "user-2")
    )
    deployment.bury(letter("evt_dead", "verified", "user-4"))
    events.enqueue(letter("evt_deferred", "canceled", "user-5"))
    (job,) = events.claim("lease", 60, 1)
    assert events.retry_later(job, 60, "LedgerUnavailable", "the database is away")
    events.enqueue_all([letter("evt_queued", "verified", "user-1", 60), THIN])


def write(folder: Path) -> None:
    """Keep it in this folder."""
    with tempfile.TemporaryDirectory() as place, Valkey(Path(place), fsync="no") as valkey:
        database = migrated_file(Path(place))
        with opened_deployment(valkey.url, f"sqlite:///{database}") as deployment:
            fill(deployment)
        with open_redis(valkey.url) as redis:
            keep_jobs(redis, folder / JOBS)
        keep_ledger(database, folder / LEDGER)


def main() -> None:
    """Of the release in the making: `0.2.0` while pyproject.toml says `0.2.0.dev0`."""
    folder = FOLDER / Version(version()).base_version
    folder.mkdir(exist_ok=True)
    write(folder)


if __name__ == "__main__":
    main()
