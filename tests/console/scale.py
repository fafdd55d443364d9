"""`python -m tests.console.scale`: how long each page takes in a ledger of years.

10⁶ events, 333,333 references and 100,000 dead letters, on PostgreSQL; and how long a delivery
takes while fifty people look on.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from sqlalchemy import Engine, text

from app.domain.standing import ReferenceKey
from app.ledger.engine import open_engine
from app.local.valkey import Valkey
from app.queue.transitions import JobQueue
from tests.benchmarks import stripe_events
from tests.benchmarks.client import Connection
from tests.console.pages import PAGES
from tests.console.site import REDACTOR, WITHIN, Site, job_of, opened
from tests.ledger import big
from tests.support.events import event_body
from tests.support.postgres import postgres_server
from tests.support.stores import migrate_database
from tests.web.deliveries import SECRET
from tests.workers.process import started

SIZE = 333_334  # sessions and references; three times as many events
LETTERS = 100_000
AT_ONCE = 1_000
MONTH = 30 * 86_400
LOADS = 100
RATE, DELIVERIES = 50, 500
VIEWERS = 50
ROUNDS = 7  # a p99 of one round is of five deliveries: chance
FINDABLE = 1_234  # the number of the user whose page is opened
# The ledger of `big` spreads over years; all is made to be of the last month, which is worse.
RECENT = {
    "events": ("created", "applied_at"),
    "timeline": ("as_of", "at"),
    "attempts": ("at",),
    "sessions": ("created", "as_of", "updated_at"),
    "standings": ("since", "updated_at"),
    "effects": ("due", "created_at", "enqueued_at", "updated_at"),
}


class Times(NamedTuple):
    """Of some requests, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Times:
        """Of a list of two or more."""
        cuts = quantiles(seconds, n=100, method="inclusive")
        return cls(cuts[49] * 1e3, cuts[98] * 1e3)


@dataclass(frozen=True)
class Large:
    """A console of a large deployment, and the cookie of somebody who has signed in."""

    site: Site
    cookie: str

    @property
    def port(self) -> int:
        return self.site.web.port

    def page_times(self, loads: int = LOADS) -> dict[str, Times]:
        """How long each page takes, by its address."""
        return {path: Times.of(self._loads(path, loads)) for path in self._addresses()}

    def _addresses(self) -> Iterator[str]:
        name = name_of_user(FINDABLE)
        ids = {**self.site.ids, "session": f"vs_{name}", "letter": "evt_dead_7"}
        for route, (address, *others) in PAGES.items():
            if "{reference" in route:
                yield f"/console/references/user_{name}?livemode=true"
            elif route == "/console/preview":  # of a whole queue, and of what a filter finds
                yield from (address, *others)
            elif "{operation}" not in address:
                yield address.format(**ids)

    def _loads(self, path: str, loads: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        found = []
        for _ in range(loads + 1):
            start = time.perf_counter()
            connection.request("GET", path, headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            body = answer.read()
            found.append(time.perf_counter() - start)
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status} {body[:500]!r}")
        connection.close()
        return found[1:]  # what the first one finds is not there yet: caches, and connections

    @contextmanager
    def viewers(self, count: int = VIEWERS) -> Iterator[None]:
        """While inside, so many people have the first screen open."""
        command = ("-m", "tests.console.viewers", str(self.port), str(count), self.cookie)
        with started(*command) as told:
            told.await_line("ready")
            yield

    def delivery_times(self, prefix: str, count: int = DELIVERIES) -> Times:
        """How long deliveries take, sent at a rate however late the answers are."""
        return Times.of(asyncio.run(_deliver(self.port, prefix, count)))


async def _deliver(port: int, prefix: str, count: int) -> list[float]:
    found: list[float] = []
    idle: list[Connection] = []
    began = time.perf_counter() + 0.1

    async def one(number: int) -> None:
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = idle.pop() if idle else await Connection.open(port)
        await connection.deliver(next(stripe_events.deliveries([f"{prefix}{number}"], [0])))
        found.append(time.perf_counter() - due)
        idle.append(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
    for connection in idle:
        await connection.close()
    return found


def name_of_user(number: int) -> str:
    """As `big` names the user of a number."""
    return hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()


def make_findable(engine: Engine, number: int) -> None:
    """Give a user the key that the product looks them up by: `big` makes up its own."""
    name = name_of_user(number)
    keys = {"known": f"key_{name}", "key": ReferenceKey("", True, f"user_{name}").digest}
    columns = {"standings": "key"} | dict.fromkeys(
        ("sessions", "timeline", "effects", "notifications"), "reference_key"
    )
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, column in columns.items():
            change = f"UPDATE {table} SET {column} = :key WHERE {column} = :known"
            connection.execute(text(change), keys)


def fill_ledger(database_url: str, size: int) -> None:
    """Years of users, most of which changed in the last month."""
    engine = open_engine(database_url)
    big.fill(engine, size)
    now = int(time.time())
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for table, columns in RECENT.items():
            moved = ", ".join(f"{c} = {now} - ({big.NOW} - {c}) % {MONTH}" for c in columns)
            connection.execute(text(f"UPDATE {table} SET {moved}"))
    make_findable(engine, FINDABLE)
    big.analyze(engine)
    engine.dispose()


def fill_letters(queue: JobQueue, count: int) -> None:
    """Dead letters of users that the ledger has."""
    reasons = ("permanent_error", "attempts_exhausted", "crashed_worker")
    now = int(time.time())
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        names = {
            n: hashlib.md5(b"%d" % (n + 1), usedforsecurity=False).hexdigest() for n in numbers
        }
        queue.enqueue_all(
            job_of(
                event_body(
                    "verified",
                    "verified",
                    id=f"evt_dead_{n}",
                    at=now - n % MONTH,
                    session=f"vs_{name}",
                    reference=f"user_{name}",
                    livemode=True,
                )
            )
            for n, name in names.items()
        )
        jobs = [job for _ in range(AT_ONCE // 100) for job in queue.claim("token", 60, 100)]
        for number, job in enumerate(jobs):
            reason = reasons[number % len(reasons)]
            assert queue.bury(job, reason, f"Broken{number % 7}", "it broke")


@contextmanager
def large(size: int = SIZE, letters: int = LETTERS) -> Iterator[Large]:
    """A deployment of that size, with its console open."""
    with (
        tempfile.TemporaryDirectory(prefix="console-") as name,
        Valkey(Path(name) / "valkey", fsync="no") as valkey,
        postgres_server(durable=True) as server,
    ):
        database_url = server.url(server.create_database())
        migrate_database(database_url)
        fill_ledger(database_url, size)
        settings = {
            "STRIPE_API_KEY": "sk_live_console",
            "STRIPE_WEBHOOK_SECRET": f"{SECRET},{stripe_events.SECRET}",
        }
        with opened(Path(name), valkey.url, database_url, **settings) as site:
            fill_letters(site.deployment.stores.events, letters)
            with site.signed_in(REDACTOR) as http:
                cookie = "; ".join(f"{each.name}={each.value}" for each in http.cookies)
            yield Large(site, cookie)


def main() -> None:
    """Measure, and print a line for each."""
    with large() as deployment:
        for path, times in deployment.page_times().items():
            tell(path, times)
        compare_viewers(deployment)


def compare_viewers(deployment: Large) -> None:
    """Deliveries with nobody there and with viewers, in turns."""
    alone, beside = [], []
    for number in range(ROUNDS):
        alone.append(deployment.delivery_times(f"a{number}-"))
        with deployment.viewers():
            beside.append(deployment.delivery_times(f"b{number}-"))
    tell("a delivery, with nobody there", median_of(alone))
    tell(f"a delivery, with {VIEWERS} viewers", median_of(beside))
    ratios = sorted(b.p99 / a.p99 for a, b in zip(alone, beside, strict=True))
    line = f"{median(ratios):.2f} times the p99 ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    sys.stdout.write(f"{line} with viewers, in {ROUNDS} rounds\n")


def median_of(rounds: list[Times]) -> Times:
    """Of each figure by itself."""
    return Times(median(one.p50 for one in rounds), median(one.p99 for one in rounds))


def tell(what: str, times: Times) -> None:
    """One line."""
    sys.stdout.write(f"{times.p50:8.1f} ms p50 {times.p99:8.1f} ms p99  {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
