"""The product, driven from outside alone: commands, environment, HTTP, keys in Redis, and SQL."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from tests.benchmarks.contestants import Contestant, Site, total
from tests.benchmarks.processes import Command

EVENTS = "identity-events"
DEAD_LETTERS = f"rq:failed:{EVENTS}"
COUNTED_FOR = 3_600  # seconds, more than any measurement takes


class Product(Contestant):
    """The checkout in a folder; its own code is never imported here."""

    name = "product"

    def __init__(self, checkout: Path) -> None:
        """`checkout` may be another version than the one these benchmarks came with."""
        self._checkout = checkout

    def _command(self, site: Site, *arguments: str, **more: str) -> Command:
        environment = site.environment | more
        return Command.python("-m", *arguments, environment=environment, folder=self._checkout)

    def web(self, site: Site) -> Command:
        """One web process, which answers when Redis does: as the others do."""
        durability = "disk" if site.fsync == "always" else "memory"
        return self._command(site, "app.web", DURABILITY=durability)

    def workers(self, site: Site, count: int) -> list[Command]:
        """One supervisor with so many event workers, an effects worker and the clock."""
        return [self._command(site, "workers", EVENT_WORKERS=str(count), EFFECT_WORKERS="1")]

    def migrate(self, site: Site) -> Command:
        """Creates the ledger."""
        return self._command(site, "app", "migrate")

    def replay(self, site: Site) -> Command:
        """Puts all dead letters back, waits, and tells what came of them."""
        return self._command(site, "app", "dlq", "replay", "--json")

    def catch_up(self, site: Site, name: str, port: int) -> Command:
        """`backfill` or `import`, from a Stripe on that port."""
        base = f"http://127.0.0.1:{port}"
        more = {"STRIPE_API_KEY": "sk_test_benchmarks", "STRIPE_API_BASE": base}
        return self._command(site, "app", name, "--json", **more)

    def pending(self, redis: Redis) -> int:
        """Queued, started, and waiting for another try."""
        registries = [f"rq:wip:{EVENTS}", f"rq:scheduled:{EVENTS}"]
        return total(redis, lists=[f"rq:queue:{EVENTS}"], sorted_sets=registries)

    def registered(self, redis: Redis) -> int:
        """Event workers that have begun to work."""
        return redis.scard(f"rq:workers:{EVENTS}")

    def forget_workers(self, redis: Redis) -> None:
        """Of those that were killed, so that `registered` counts the living."""
        redis.delete(f"rq:workers:{EVENTS}")

    def put_off_count(self, redis: Redis) -> None:
        """Have no clock count how users stand, of all that came since the last count."""
        redis.set("identity:count", "a clock that has just done so", ex=COUNTED_FOR)

    def dead_letters(self, redis: Redis) -> int:
        """How many there are."""
        return total(redis, sorted_sets=[DEAD_LETTERS])
