"""Sentinels, and the servers that they name: all speak TLS, and ask for certificates."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from app.local.valkey import free_port
from app.queue.connection import open_async_redis, open_redis
from app.queue.enqueuing import AsyncJobQueue
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.servers.secured import NAME, Secured, codes, secured, tls_options, with_files
from tests.support.certificates import Authority
from tests.support.places import new, place
from tests.support.servers import ROOT, program
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

SERVICE = "queue"
# What a process of ours may do at a sentinel, and all that it has to.
APP = "resetkeys resetchannels -@all +@connection +sentinel|get-master-addr-by-name"
# What a sentinel, and a replica, may do at a Redis, and all that they have to.
SENTINEL = (
    "sentinel on >word resetkeys allchannels -@all +@connection +multi +exec +replicaof +slaveof "
    "+info +role +publish +subscribe +config|rewrite +client|kill +script|kill"
)
REPLICA = "replica on >word resetkeys resetchannels -@all +psync +replconf +ping"
USERS = ["--user", *SENTINEL.split(), "--user", *REPLICA.split()]


@dataclass
class Guarded:
    """A primary and its replica, and the port of the sentinel that knows them by their name."""

    servers: list[Secured]
    port: int

    def url(self, *, user: str = "app:word", **different: Any) -> str:
        """What REDIS_URL has to be, or something that is wrong in one point."""
        first = self.servers[0]
        authority: Authority = different.get("authority", first.authority)
        address = f"rediss+sentinel://localhost:{self.port}/{SERVICE}/0"
        url = with_files(address, authority, different.get("own", first.client))
        name, _, word = user.partition(":")
        return f"{url}&sentinel_username={name}&sentinel_password={word}"

    def admin(self) -> Redis:
        """A client of the sentinel that may ask anything."""
        first = self.servers[0]
        return Redis(
            host="localhost",
            port=self.port,
            username="admin",
            password="word",
            ssl=True,
            ssl_ca_certs=str(first.authority.certificate),
            ssl_certfile=str(first.client.certificate),
            ssl_keyfile=str(first.client.key),
        )

    def knows_a_replica(self) -> bool:
        """Whether the sentinel could promote one."""
        try:
            with self.admin() as client:
                replicas: Any = client.sentinel_slaves(SERVICE)
        except RedisError:
            return False
        wanted = ("slave", "ok")
        return any((one["flags"], one["master-link-status"]) == wanted for one in replicas)

    def primary_port(self) -> int:
        """Where the sentinel says that the primary is."""
        with self.admin() as client:
            found: Any = client.sentinel_get_master_addr_by_name(SERVICE)
        return int(found[1])


@contextmanager
def sentinel(folder: Path, primary: Secured) -> Iterator[int]:
    """A running one, which tells host names, as certificates are for names; its port."""
    port = free_port()
    tls = tls_options(primary.authority, primary.shown, port)
    lines = [
        *("port 0", "bind 127.0.0.1", f"dir {folder}"),
        *(f"{name} {value}" for name, value in tls.items()),
        *("sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"),
        f"sentinel monitor {SERVICE} localhost {primary.port} 1",
        f"sentinel auth-user {SERVICE} sentinel",
        f"sentinel auth-pass {SERVICE} word",
        f"sentinel down-after-milliseconds {SERVICE} 1000",
        f"sentinel failover-timeout {SERVICE} 5000",
        *("user default off", "user admin on >word ~* &* +@all", f"user app on >word {APP}"),
    ]
    folder.mkdir()
    configuration = folder / "sentinel.conf"
    configuration.write_text("\n".join(lines) + "\n")
    command = [*program(NAME), str(configuration), "--sentinel"]
    with (
        (folder / "sentinel.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as process,
    ):
        try:
            yield port
        finally:
            process.kill()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("sentinels")
    with ExitStack() as stack:
        joined = [*USERS, *["--masteruser", "replica", "--masterauth", "word"]]
        joined += ["--replica-announce-ip", "localhost"]
        first = stack.enter_context(secured(folder / "first", *joined))
        joined += ["--replicaof", "localhost", str(first.port)]
        second = stack.enter_context(secured(folder / "second", *joined, authority=first.authority))
        port = stack.enter_context(sentinel(folder / "sentinel", first))
        found = Guarded([first, second], port)
        eventually(found.knows_a_replica, 30)
        yield found


def test_the_page_on_redis_has_these_users() -> None:
    page = (ROOT / "docs/how-to/redis.md").read_text("utf-8")
    for user in (f"app on >word {APP}", SENTINEL, REPLICA):
        assert f"\nuser {user.replace('>word', '>PASSWORD')}\n" in page


def test_both_are_reached_with_the_files_that_the_address_names(guarded: Guarded) -> None:
    assert codes(guarded.url()) == ["", ""]


def test_sentinels_that_ask_for_a_certificate_and_get_none(guarded: Guarded) -> None:
    assert codes(guarded.url(own=None)) == ["sentinel_tls"] * 2


def test_sentinels_of_another_authority(guarded: Guarded, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another")
    assert codes(guarded.url(authority=other)) == ["sentinel_tls"] * 2


def test_sentinels_that_do_not_know_the_user(guarded: Guarded) -> None:
    assert codes(guarded.url(user="app:wrong")) == ["sentinel_password"] * 2


def test_web_and_workers_go_on_at_the_primary_that_the_sentinel_has_chosen(
    guarded: Guarded,
) -> None:
    first, second = guarded.servers

    async def run() -> None:
        with open_redis(guarded.url()) as client:
            async with aclosing(open_async_redis(guarded.url())) as calls:
                queue, jobs = AsyncJobQueue(calls, EVENTS), JobQueue(client, EVENTS)
                assert await queue.enqueue_all([new("evt_1")]) == ["enqueued"]
                assert [job.id for job in jobs.claim("t1", 60, 1)] == ["evt_1"]
                client.wait(1, 5000)
                first.server.kill()
                eventually(lambda: guarded.primary_port() == second.port, 60)
                assert await queue.enqueue_all([new("evt_2")]) == ["enqueued"]
                assert jobs.complete("t1", ["evt_1"]) == 1

    asyncio.run(run())
    with Redis(port=second.server.port) as admin:
        assert place(admin, "evt_1") == "finished"
        assert place(admin, "evt_2") == "queued"
