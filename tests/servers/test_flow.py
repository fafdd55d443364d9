"""A delivery's whole way, and a crash of Redis on it, on every server that teams run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.doctor.runner import examine
from app.local.fault_injection import broken_session
from app.local.valkey import Valkey
from app.queue.connection import open_redis
from app.queue.durability import promise, read_keeping
from app.stores import Stores
from app.web.main import create_app
from tests.support.places import place
from tests.support.servers import Server, every_server
from tests.support.workers import impatient, offline, worker_of
from tests.web.deliveries import SECRET, URL, event, signed
from workers.context import Context

pytestmark = pytest.mark.slow

STREAM = "changes"
# Redis before 7.2 cannot be asked when it has something on its disk.
WITHOUT_WAITAOF = ("redis-7.0",)


class Site(NamedTuple):
    """A server, and the settings of a deployment on it."""

    name: str
    server: Valkey
    environment: dict[str, str]
    admin: Redis


# `managed`: as at providers who have no CONFIG, and whose Redis syncs once a second. Users who may
# not use it are in tests/deploy/test_users_acl.py.
@pytest.fixture(params=["always", "managed"])
def site(
    request: pytest.FixtureRequest, server: str, database_url: str, tmp_path: Path
) -> Iterator[Site]:
    """A deployment, whose Redis says `always` or does not say how it syncs."""
    if request.param == "managed":
        options = ("--rename-command", "CONFIG", "")
        started = Server(tmp_path / "server", server, *options, fsync="everysec")
    else:
        started = Server(tmp_path / "server", server)
    environment = {
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": database_url,
        "REDIS_URL": started.url,
        "NOTIFY_STREAM": STREAM,
    }
    with started, open_redis(started.url) as admin:
        yield Site(server, started, environment, admin)


def deliver(site: Site, *ids: str) -> None:
    """Have Stripe's events taken, as the web process does: each 200 is kept through a crash."""
    with TestClient(create_app(Settings.from_environment(site.environment))) as client:
        for id in ids:
            body = event(id, session=f"vs_{id}", reference=id)
            assert client.post(URL, content=body, headers=signed(body)).status_code == 200


def work(stores: Stores, context: Context) -> None:
    """Do what both queues hold."""
    for queue in (stores.events, stores.effects):
        worker = impatient(worker_of(stores.redis, context, queue=queue))
        while worker.run_once():
            pass


def status_of(stores: Stores, reference: str) -> str | None:
    found = stores.ledger.read_reference(reference, livemode=False)
    return None if found is None else found.standing.status


@every_server
def test_what_was_answered_200_reaches_the_ledger_and_its_receiver(site: Site) -> None:
    keeps = site.name not in WITHOUT_WAITAOF or site.server.fsync == "always"
    deliver(site, "good", "bad")
    if keeps:
        site.server.kill()
        site.server.start()
    context = offline(Context.of(Settings.from_environment(site.environment)))
    stores = context.stores
    try:
        with broken_session(stores.engine, "vs_bad"):
            work(stores, context)
        assert place(site.admin, "good") == "finished"
        assert place(site.admin, "bad") == "failed"
        assert stores.events.replay(["bad"]) == 1
        work(stores, context)
        assert place(site.admin, "bad") == "finished"
        assert {status_of(stores, one) for one in ("good", "bad")} == {"requires_input"}
        told: Any = site.admin.xrange(STREAM)
        assert len(told) == 2
    finally:
        stores.close()


@every_server
def test_what_a_200_means_is_known_and_said(site: Site) -> None:
    found = promise("disk", read_keeping(site.admin))
    if site.server.fsync == "always":
        assert (found.wait_disk, found.loss) == (False, "")
    elif site.name in WITHOUT_WAITAOF:
        assert "no WAITAOF (it came with 7.2)" in found.loss
        assert found.message == "a 200 means in the memory of Redis"
    else:
        assert (found.wait_disk, found.loss) == (True, "")


@every_server
def test_the_doctor_reads_it(site: Site) -> None:
    found = {one.name: one for one in examine(site.environment, now=time.time)}
    product, _, version = site.name.partition("-")
    assert found["redis"].message.startswith(f"{product.capitalize()} {version}.")
    loses = site.server.fsync != "always" and site.name in WITHOUT_WAITAOF
    states = {name: found[name].state for name in found if "redis" in name or name == "durability"}
    assert states == {
        "redis": "ok",
        "redis writes": "ok",
        "redis persistence": "ok",
        "redis eviction": "ok",
        "redis memory": "ok",
        "durability": "warning" if loses else "ok",
    }


@every_server
@pytest.mark.parametrize("site", ["always"], indirect=True)
def test_the_doctor_sees_what_is_set_wrong(site: Site) -> None:
    for name, value in (
        ("maxmemory", "100mb"),
        ("maxmemory-policy", "allkeys-lru"),
        ("appendonly", "no"),
    ):
        site.admin.config_set(name, value)
    found = {one.name: one for one in examine(site.environment)}
    assert found["redis eviction"].state == "wrong"
    assert found["redis persistence"].state == "warning"
    assert found["durability"].state == "warning"
