"""A deployment as an operator has it: processes to stop and start, stores that can be lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from redis import Redis

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.local.comparison import Comparison
from app.local.sandbox_client import SandboxClient
from app.local.stack import tail_of_logs
from app.local.valkey import Valkey, free_port
from app.queue.backlog import read_backlog
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from tests.docs.pages import Block
from tests.faults.processes import end, start
from tests.support.shell import Ran, run
from tests.support.waiting import eventually

WITHIN = 60.0
WEBHOOK_SECRET = "whsec_" + "d" * 32
API_KEY = "sk_test_" + "d" * 32
API_TOKEN = "token-" + "d" * 32


@dataclass
class Site:
    """Valkey, a local Stripe, and the processes of the Procfile. All files are in `folder`."""

    folder: Path
    environment: dict[str, str]
    valkey: Valkey
    sandbox: SandboxClient
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the web process answers."""
        return f"http://127.0.0.1:{self.environment['PORT']}"

    def start(self, name: str, module: str, *arguments: str, **more: str) -> None:
        """Start a process, with `more` environment."""
        log = self.folder / f"{name}.log"
        self._running[name] = start(module, log, self.environment | more, *arguments)

    def stop(self, name: str) -> None:
        """Stop a process as a host does."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 0, tail_of_logs(self.folder, 20)
        finally:
            end(process)

    def start_web(self) -> None:
        """Start `web`, and wait until it takes deliveries."""
        self.start("web", "app.web")
        eventually(self.is_ready, WITHIN, "web is ready")

    def start_workers(self) -> None:
        """Start `worker`, and wait until its workers have registered."""
        self.start("worker", "workers")
        eventually(self.has_workers, WITHIN, "workers have registered")

    def is_ready(self) -> bool:
        """Whether it takes deliveries."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def has_workers(self) -> bool:
        """Whether workers of both queues are known to Redis."""
        with self.redis() as redis:
            return all(
                redis.scard(f"rq:workers:identity-{queue}") for queue in ("events", "effects")
            )

    def redis(self) -> Redis:
        """A client, to close."""
        return open_redis(self.environment["REDIS_URL"])

    def do(self, block: Block, **more: str) -> Ran:
        """Run a page's commands with this environment, and `more`."""
        return run(block, self.environment | more, self.folder)

    def lose_redis(self) -> None:
        """The server is gone with its disk, and an empty one takes its place."""
        self.valkey.kill()
        shutil.rmtree(self.valkey.folder)
        self.valkey.start()

    def await_delivered(self) -> None:
        """Stripe has nothing left to send."""
        eventually(lambda: not self.sandbox.control("deliveries")["pending"], WITHIN)

    def await_quiet(self) -> None:
        """No event is queued or in work."""

        def is_quiet() -> bool:
            with self.redis() as redis:
                counts = read_backlog(redis, EVENTS).counts
            return not any(counts[place] for place in ("queued", "started"))

        eventually(is_quiet, WITHIN, "the queue is empty")

    def disagreeing(self) -> list[Comparison]:
        """The users that do not stand as Stripe says."""
        engine = open_engine(self.environment["DATABASE_URL"])
        try:
            standings = dict(Ledger(engine).all_standings(livemode=False))
        finally:
            engine.dispose()
        truths = self.sandbox.truth()
        compared = [Comparison(name, standings.get(name), truth) for name, truth in truths.items()]
        return [comparison for comparison in compared if not comparison.matches]

    def await_agreement(self) -> None:
        """Every user stands as Stripe says."""
        self.await_quiet()
        try:
            eventually(lambda: not self.disagreeing(), WITHIN)
        except AssertionError:
            assert self.disagreeing() == []
            raise


@contextmanager
def open_site(folder: Path, database_url: str, **extra: str) -> Iterator[Site]:
    """A site with Valkey and the local Stripe running, and nothing else."""
    port, sandbox_port = free_port(), free_port()
    valkey = Valkey(folder / "valkey")
    environment = {
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": f"http://127.0.0.1:{sandbox_port}",
        "REDIS_URL": valkey.url,
        "DATABASE_URL": database_url,
        "API_TOKENS": API_TOKEN,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        **extra,
    }
    sandbox = SandboxClient(environment["STRIPE_API_BASE"], API_KEY)
    site = Site(folder, environment, valkey, sandbox)
    with valkey:
        try:
            arguments = ("--port", str(sandbox_port), "--webhook", f"{site.url}/webhooks/stripe")
            secret = {"SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET}
            site.start("sandbox", "deploy.sandbox", *arguments, **secret)
            eventually(lambda: _answers(environment["STRIPE_API_BASE"]), WITHIN, "Stripe answers")
            # Redaction makes no event when it begins: only its end can be learnt from events.
            sandbox.control("redaction", {"seconds": 0})
            yield site
        finally:
            for process in site._running.values():
                end(process)


def _answers(sandbox: str) -> bool:
    try:
        return requests.get(f"{sandbox}/_sandbox/clock", timeout=5).ok
    except requests.RequestException:
        return False
