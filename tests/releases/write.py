"""`python -m tests.releases.write`: keep what the release in the making writes.

Run it, and commit what it writes, whenever that changes before the release. What a release has
written is never written again: it stands in the Redis and the ledgers of those who use it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from packaging.version import Version

from app.domain.standing import ReferenceKey
from app.ledger.operations import Operation
from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.model import NewJob
from app.version import version
from tests.releases.holding import (
    FOLDER,
    JOBS,
    LEDGERS,
    STANDINGS,
    STATEMENTS,
    dump,
    keep_jobs,
)
from tests.releases.statements import recorded
from tests.support.deployment import Deployment, letter, opened_deployment
from tests.support.events import OPENED
from tests.support.postgres import postgres_server
from tests.support.stores import migrate_database

THIN = NewJob(
    "evt_thin", ["evt_thin", "verified", 1_700_000_000, "", False, "vs_3"], "verified vs_3"
)
OPERATION = Operation(
    id="op_00000001ab",
    kind="replay",
    queue="events",
    selection={"reference": "user-2"},
    pinned="1_2.0_5_abc",
    reason="the ledger was away",
    rate=None,
    who="anna",
    via="cli",
    total=5,
    created_at=OPENED,
    updated_at=OPENED,
)


def fill(deployment: Deployment) -> None:
    """An event in each place where one may wait, effects, standings, and what people did."""
    events, stores = deployment.events, deployment.stores
    deployment.apply(
        letter("evt_applied", "processing", "user-1"),
        letter("evt_done", "verified", "user-2"),
        letter("evt_failed", "requires_input", "user-3", error="document_expired"),
        letter("evt_orphan", "verified", None),
    )
    stores.audit.record(
        who="anna", via="cli", action="allow_attempt", target={"reference": "user-3"}, at=OPENED
    )
    stores.operations.add(OPERATION)
    stores.ledger.cursors.set("counted", "1", OPENED)
    key, told = ReferenceKey("", False, "user-2").digest, deployment.record("user-2").standing
    stores.ledger.notifications.record_sent(key, "notify_callback", told, OPENED)
    deployment.bury(letter("evt_dead", "verified", "user-4"))
    events.enqueue(letter("evt_deferred", "canceled", "user-5"))
    (job,) = events.claim("lease", 60, 1)
    assert events.retry_later(job, 60, "LedgerUnavailable", "the database is away")
    events.enqueue_all([letter("evt_queued", "verified", "user-1", 60), THIN])


def write_of(url: str, valkey: Valkey, folder: Path) -> None:
    """Keep what stands in Redis and in the ledger at `url`, of one kind of database."""
    migrate_database(url)
    with open_redis(valkey.url) as redis:
        redis.flushall()
        with opened_deployment(valkey.url, url) as deployment:
            fill(deployment)
            standings = dict(deployment.ledger.all_standings(livemode=False))
        keep_jobs(redis, folder / JOBS)
    kept = {name: standing._asdict() for name, standing in standings.items()}
    (folder / STANDINGS).write_text(json.dumps(kept, indent=1) + "\n")
    (folder / LEDGERS[url.partition(":")[0]]).write_text(dump(url))


def write(folder: Path) -> None:
    """Keep it in this folder. Both databases hold the same, so the last one's rest is kept."""
    with (
        tempfile.TemporaryDirectory() as place,
        Valkey(Path(place), fsync="no") as valkey,
        postgres_server() as server,
    ):
        urls = [f"sqlite:///{place}/ledger.db", server.url(server.create_database())]
        for url in urls:
            write_of(url, valkey, folder)
        blank = [f"sqlite:///{place}/blank.db", server.url(server.create_database())]
        statements = {url.partition(":")[0]: recorded(url) for url in blank}
        (folder / STATEMENTS).write_text(json.dumps(statements, indent=1) + "\n")


def main() -> None:
    """Of the release in the making: `0.2.0` while pyproject.toml says `0.2.0.dev0`."""
    folder = FOLDER / Version(version()).base_version
    folder.mkdir(exist_ok=True)
    write(folder)


if __name__ == "__main__":
    main()
