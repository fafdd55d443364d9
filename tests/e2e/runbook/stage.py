"""A deployment to get into trouble: what each trouble is made with, and the page's commands."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from app.queue.backlog import read_backlog
from app.queue.model import EVENTS
from tests.docs.pages import DOCS, Block, section_blocks
from tests.e2e.runbook.promql import Scrape, scrape
from tests.e2e.site import API_KEY, API_TOKEN, WEBHOOK_SECRET, Site, open_site
from tests.faults.processes import end, kill
from tests.notifications.receiver import SECRET, Receiver, receiving
from tests.support.events import event_body
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database
from tests.support.waiting import eventually

PAGE = DOCS / "how-to/alerts.md"
WITHIN = 60.0
# A secret that is bound to live mode, beside the usual one.
BOUND_SECRET = "whsec_" + "b" * 32


@dataclass
class Stage:
    """A site with PostgreSQL and a receiver, all up."""

    site: Site
    receiver: Receiver
    server: Postgres
    database: str
    section: str = ""  # of the page, whose commands `do` runs
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def folder(self) -> Path:
        """Where all files are."""
        return self.site.folder

    def scrape(self) -> Scrape:
        """What Prometheus sees now."""
        return scrape(self.site.url, API_TOKEN)

    def do(self, **more: str) -> None:
        """Run the section's commands, in their order."""
        blocks = section_blocks(PAGE, self.section, "sh")
        assert blocks, f"{self.section} has no commands"
        for block in blocks:
            self.site.do(block, **more)

    def run(self, command: str) -> str:
        """Run a command that is no part of the section."""
        return self.site.do(Block(PAGE, "sh", command)).out

    def new(self, prefix: str) -> str:
        """An id that nothing else has."""
        return f"{prefix}_{next(self._numbers)}x"

    # --- what happens ---

    def open_session(self) -> str:
        """A user opens a session at Stripe, which tells of it."""
        return self.site.sandbox.create(self.new("user"))

    def event(self, **fields: Any) -> dict[str, Any]:
        """An event of a session that nobody else names, made now."""
        usual = {"id": self.new("evt"), "session": self.new("vs"), "reference": self.new("user")}
        return event_body("canceled", "canceled", **{"at": int(time.time()), **usual, **fields})

    def deliver(
        self, body: dict[str, Any], secret: str = WEBHOOK_SECRET, seconds_ago: int = 0
    ) -> int:
        """The status that a delivery is answered with, which was signed so long ago."""
        sent, at = json.dumps(body).encode(), int(time.time()) - seconds_ago
        signature = hmac.new(secret.encode(), f"{at}.".encode() + sent, hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}
        url = f"{self.site.url}/webhooks/stripe"
        return requests.post(url, data=sent, headers=headers, timeout=WITHIN).status_code

    def goes_well(self) -> None:
        """A user's event comes, is applied and told: nothing stands in the way."""
        assert self.deliver(self.event()) == 200
        self.site.await_delivered()
        self.site.await_quiet()

    # --- hands on the stores ---

    def sql(self, statement: str) -> None:
        """Change the ledger by hand."""
        with psycopg.connect(self.server.url(self.database), autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Nobody else can write to a table, so that the workers wait for it."""
        with psycopg.connect(self.server.url(self.database)) as connection:
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
            yield

    def count(self, place: str) -> int:
        """How many events are `queued`, `started`, `scheduled` or `failed`."""
        with self.site.redis() as redis:
            return read_backlog(redis, EVENTS).counts[place]

    def age(self, change: Callable[[Any], object]) -> None:
        """Let time pass in Redis, by hand."""
        with self.site.redis() as redis:
            change(redis)

    def stripe(self, what: str, /, **body: Any) -> None:
        """Change how the local Stripe behaves."""
        self.site.sandbox.control(what, body)

    def stripe_has_no_faults(self) -> None:
        """Stripe answers as usual again."""
        url = f"{self.site.environment['STRIPE_API_BASE']}/_sandbox/faults"
        assert requests.delete(url, timeout=WITHIN).ok

    # --- processes ---

    def restart_web(self, **environment: str) -> None:
        """With more environment, which stays."""
        self.site.environment |= environment
        self.site.stop("web")
        self.site.start_web()

    def restart_killed_workers(self) -> None:
        """As a host does with what does not end."""
        end(self.site._running.pop("worker"))
        self.site.start_workers()

    def child(self, name: str) -> int:
        """The process id of a child of the workers' supervisor: `clock`, `events-1`."""
        lines = (self.folder / "worker.log").read_text().splitlines()
        started = [json.loads(line) for line in lines if '"child started"' in line]
        return int([line["pid"] for line in started if line["child"] == name][-1])

    def kill_child(self, name: str, sent: int = signal.SIGKILL) -> None:
        """Kill it, or stop it by SIGSTOP."""
        assert kill(self.child(name), sent)


@contextmanager
def opened_stage(server: Postgres, folder: Path) -> Iterator[Stage]:
    """A deployment that is up, and that has brought in what there was at Stripe."""
    database = server.create_database()
    url = server.url(database)
    migrate_database(url)
    with receiving() as receiver:
        settings = {
            "STRIPE_WEBHOOK_SECRET": f"{WEBHOOK_SECRET},live:{BOUND_SECRET}",
            "STRIPE_API_KEY": API_KEY,
            "NOTIFY_URL": receiver.url,
            "NOTIFY_SECRET": SECRET,
            "NOTIFY_ALLOW_PRIVATE": "1",
        }
        with open_site(folder, url, **settings) as site:
            site.start_web()
            site.start_workers()
            stage = Stage(site, receiver, server, database)
            backfilled = 'identity_backfill_last_success_timestamp_seconds{mode="test"}'
            eventually(lambda: stage.scrape().get(backfilled, -1) > 0, WITHIN, "a backfill")
            stage.goes_well()
            yield stage
