"""Hostile: what deliveries wait beside thousands of idle connections and hundreds of slow heads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import deliver_all
from tests.benchmarks.ingest import MOST_PER_SECOND, WARM_UP, write_requests, wrk
from tests.benchmarks.processes import START_WITHIN, Command, running, wait_until
from tests.benchmarks.stripe_events import openings

# Connections of those whose deliveries are measured.
SENDERS = 16
ALONE, CROWDED = "alone", "in a crowd"


class Hostile:
    """The same load twice, at a web process of its own each: alone, and beside a crowd."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def prepare(self) -> None:
        """Nothing: where wrk is missing, that is said by its first use."""

    def round(self, number: int) -> None:
        """In turns, so that neither is always first."""
        for who in (ALONE, CROWDED) if number % 2 == 0 else (CROWDED, ALONE):
            with self._bench.leg(f"hostile: {who}"):
                self._measure(number, who)

    def _measure(self, number: int, who: str) -> None:
        bench, seconds = self._bench, self._bench.plan.ingest_seconds
        idle, dripping = bench.plan.crowd
        requests = bench.folder / "hostile-requests"
        write_requests(requests, "h", MOST_PER_SECOND * seconds)
        with (
            bench.valkey() as store,
            bench.web(bench.contestants.product, store) as (_, port),
        ):
            deliver_all(port, openings("w", WARM_UP))
            with self._crowd(port, idle, dripping) if who == CROWDED else nullcontext():
                told = wrk(port, requests, SENDERS, seconds, bench.folder / "wrk.log")
        requests.unlink()
        bench.results.add(
            number,
            "hostile",
            f"{SENDERS} senders; the crowd: {idle:,} idle, {dripping} that drip",
            who,
            ALONE,
            p99_ms=told["p99_ms"],
            p50_ms=told["p50_ms"],
            per_second=told["requests"] / told["seconds"],
        )

    @contextmanager
    def _crowd(self, port: int, idle: int, dripping: int) -> Iterator[None]:
        arguments = (str(port), str(idle), str(dripping))
        command = Command.python("-m", "tests.benchmarks.crowd", *arguments, environment={})
        log = self._bench.folder / "crowd.log"
        log.unlink(missing_ok=True)
        with running(command, log) as process:
            wait_until(lambda: "ready" in log.read_text(), START_WITHIN, "crowd", [process])
            yield
