"""A primary and its replicas, behind one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from app.local.valkey import Valkey
from app.queue.connection import open_redis
from tests.support.proxy import Proxy, proxy_to
from tests.support.waiting import eventually


def replicate(primary: Valkey, replica: Valkey) -> None:
    """Make one server the other's replica, and wait until it has caught up."""

    def online(found: Mapping[str, Any]) -> bool:
        copies = [found[name] for name in found if name.startswith("slave")]
        return any(copy["port"] == replica.port and copy["state"] == "online" for copy in copies)

    with open_redis(primary.url) as source, open_redis(replica.url) as copy:
        source.config_set("repl-diskless-sync-delay", 0)
        copy.replicaof("127.0.0.1", str(primary.port))
        eventually(lambda: copy.info("replication").get("master_link_status") == "up")
        eventually(lambda: online(source.info("replication")))


def role(client: Redis) -> str:
    """`master` or `slave`."""
    return str(client.info("replication")["role"])


class Pair:
    """A primary and its replica. `name` leads to the primary until it is told otherwise."""

    def __init__(self, first: Valkey, second: Valkey, name: Proxy) -> None:
        self.primary, self.replica, self.name = first, second, name

    def fail_over(self, *, move_name: bool = True) -> None:
        """Have the two change places, as `FAILOVER` does; open connections stay where they are."""
        with open_redis(self.primary.url) as old, open_redis(self.replica.url) as new:
            old.execute_command("FAILOVER")
            eventually(lambda: role(new) == "master" and role(old) == "slave")
        self.primary, self.replica = self.replica, self.primary
        if move_name:
            self.move_name()

    def move_name(self) -> None:
        """Have the name lead to the primary."""
        self.name.target = self.primary.port


@contextmanager
def replicated(folder: Path) -> Iterator[Pair]:
    """A primary and its replica, in step."""
    with (
        Valkey(folder / "first", fsync="always") as first,
        Valkey(folder / "second", fsync="always") as second,
        proxy_to(first.port) as name,
    ):
        replicate(first, second)
        yield Pair(first, second, name)
