"""Latency: from the moment a delivery is due until its event is committed, on an idle system.

Beside Celery stands the limit: what one INSERT takes, committed, and whatever is on the way there.
"""

from __future__ import annotations

import asyncio
import time
from statistics import quantiles

import psycopg

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import deliver_at
from tests.benchmarks.contestants import Contestant, rotated
from tests.benchmarks.processes import Failed
from tests.benchmarks.stripe_events import deliveries, event_id
from tests.benchmarks.warm import warm_stack

# PostgreSQL tells each event's id to who listens, after its commit.
TELL = """
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('committed', NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION tell();
"""
# Seconds after the last delivery in which all have to be committed.
COMMIT_WITHIN = 30.0
PERCENT = 100


class Latency:
    """Open loop: a delivery is sent when it is due, however late the answers are."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        known = bench.contestants
        self._all = [known.celery, known.product, known.bare_tuned]

    def prepare(self) -> None:
        """Nothing."""

    def round(self, number: int) -> None:
        """Each contestant at each rate."""
        for contestant in rotated(self._all, number):
            self._measure(number, contestant)

    def _measure(self, number: int, contestant: Contestant) -> None:
        bench = self._bench
        with warm_stack(bench, contestant, TELL) as stack:
            for rate, seconds in bench.plan.latency:
                with bench.leg(f"latency: {contestant.name}, {rate} a second"):
                    count = max(2, int(rate * seconds))
                    before = stack.cpu()
                    found = asyncio.run(_latencies(stack.port, stack.database.url, rate, count))
                    after = stack.cpu()
                    cuts = quantiles(found, n=PERCENT, method="inclusive")
                    bench.results.add(
                        number,
                        "latency",
                        f"{rate} event{'s' * (rate > 1)} a second, PostgreSQL",
                        contestant.name,
                        "celery",
                        p50_ms=cuts[49],
                        p99_ms=cuts[98],
                        **after.per_event(before, count),
                    )


async def _latencies(port: int, database_url: str, rate: float, count: int) -> list[float]:
    """In milliseconds, one for each delivery."""
    names = [f"l{rate:g}x{number}" for number in range(count)]
    committed: dict[str, float] = {}
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("LISTEN committed")

        async def listen() -> None:
            async for notice in connection.notifies(timeout=count / rate + COMMIT_WITHIN):
                committed[notice.payload] = time.monotonic()
                if len(committed) == count:
                    return

        listening = asyncio.create_task(listen())
        due = await deliver_at(port, rate, count, lambda n: next(deliveries([names[n]], [0])))
        await listening
    if len(committed) != count:
        raise Failed(f"{len(committed)} of {count} events were committed")
    ends = [committed[event_id(name, 0)] for name in names]
    return [(end - start) * 1e3 for start, end in zip(due, ends, strict=True)]
