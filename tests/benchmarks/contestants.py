"""What is measured: how each contestant is started, and where its queue stands in Redis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from tests.benchmarks.databases import Database
from tests.benchmarks.processes import Command
from tests.benchmarks.stripe_events import SECRET

PEERS = "tests.benchmarks.peers"


@dataclass(frozen=True)
class Site:
    """What a contestant's processes need to know."""

    redis_url: str
    database_url: str = "sqlite:////dev/null"  # for a web process that opens none
    port: int = 0
    fsync: str = "everysec"  # of that Redis

    @property
    def environment(self) -> dict[str, str]:
        """As the contestants read it."""
        return {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }


class Contestant(ABC):
    """A way to take in webhooks and to apply them."""

    name: str

    @abstractmethod
    def web(self, site: Site) -> Command:
        """One web process."""

    @abstractmethod
    def workers(self, site: Site, count: int) -> list[Command]:
        """What starts so many workers."""

    @abstractmethod
    def migrate(self, site: Site) -> Command:
        """Creates the tables."""

    @abstractmethod
    def pending(self, redis: Redis) -> int:
        """Events that are queued or being worked on."""

    def done(self, redis: Redis, database: Database) -> int:
        """Events that are applied."""
        return database.events()


def total(
    redis: Redis,
    *,
    lists: Sequence[str] = (),
    sorted_sets: Sequence[str] = (),
    hashes: Sequence[str] = (),
) -> int:
    """How much these keys hold at one moment: a job that moves between two reads is in neither."""
    with redis.pipeline(transaction=True) as pipeline:
        for key in lists:
            pipeline.llen(key)
        for key in sorted_sets:
            pipeline.zcard(key)
        for key in hashes:
            pipeline.hlen(key)
        return sum(pipeline.execute())


def _uvicorn(application: str, site: Site, http: str) -> Command:
    return Command.python(
        *("-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(site.port)),
        *("--loop", "uvloop", "--http", http, "--no-access-log", "--log-level", "warning"),
        environment=site.environment,
    )


class Bare(Contestant):
    """An endpoint that makes one HMAC and one RPUSH, and a worker that makes one INSERT.

    Neither checks anything. Requests are parsed by h11, as by uvicorn where nothing else was
    installed.
    """

    name = "bare"
    http = "h11"

    def web(self, site: Site) -> Command:
        """One web process."""
        return _uvicorn(f"{PEERS}.bare:app", site, self.http)

    def workers(self, site: Site, count: int) -> list[Command]:
        """So many processes; they know PostgreSQL alone."""
        worker = f"{PEERS}.bare_worker"
        return [Command.python("-m", worker, environment=site.environment)] * count

    def migrate(self, site: Site) -> Command:
        """Creates the table."""
        return Command.python("-m", f"{PEERS}.bare_worker", "migrate", environment=site.environment)

    def pending(self, redis: Redis) -> int:
        """All that came."""
        return total(redis, lists=["deliveries"])


class BareTuned(Bare):
    """The same on the product's own server stack: what that leaves to be gained."""

    name = "bare, httptools"
    http = "httptools"


class Rq(Contestant):
    """Starlette and stock RQ."""

    name = "rq"
    module = f"{PEERS}.rq_twenty_lines"

    def web(self, site: Site) -> Command:
        """One web process."""
        return _uvicorn(f"{self.module}.web:app", site, "httptools")

    def workers(self, site: Site, count: int) -> list[Command]:
        """So many processes, each of which forks for each job."""
        return [Command.python("-m", f"{self.module}.worker", environment=site.environment)] * count

    def migrate(self, site: Site) -> Command:
        """Creates the table."""
        return Command.python("-m", f"{self.module}.jobs", environment=site.environment)

    def pending(self, redis: Redis) -> int:
        """Queued, on the way to a worker, and started."""
        queued = ["rq:queue:default", "rq:queue:default:intermediate"]
        return total(redis, lists=queued, sorted_sets=["rq:wip:default"])

    def done(self, redis: Redis, database: Database) -> int:
        """RQ's own count: the table has no row for each event."""
        return total(redis, sorted_sets=["rq:finished:default"])


class Celery(Contestant):
    """FastAPI and Celery, by people who know what an event store needs."""

    name = "celery"
    module = f"{PEERS}.celery_peer"

    def web(self, site: Site) -> Command:
        """One web process."""
        return _uvicorn(f"{self.module}.web:app", site, "httptools")

    def workers(self, site: Site, count: int) -> list[Command]:
        """One worker with so many processes in its pool."""
        arguments = (
            *("-m", "celery", "-A", f"{self.module}.tasks", "worker", "--pool", "prefork"),
            *("--concurrency", str(count), "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )
        return [Command.python(*arguments, environment=site.environment)]

    def migrate(self, site: Site) -> Command:
        """Creates the tables."""
        return Command.python("-m", f"{self.module}.store", environment=site.environment)

    def pending(self, redis: Redis) -> int:
        """Queued and not yet acknowledged."""
        return total(redis, lists=["celery"], hashes=["unacked"])


@dataclass(frozen=True)
class Contestants:
    """All of them; `product` is ours."""

    product: Contestant
    bare: Contestant
    bare_tuned: Contestant
    rq: Contestant
    celery: Contestant


def rotated(contestants: list[Contestant], number: int) -> list[Contestant]:
    """The order of a round: nobody is always first."""
    start = number % len(contestants)
    return contestants[start:] + contestants[:start]
