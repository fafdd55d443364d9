"""Ingest: how fast one web process takes deliveries, and what each costs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import Bench, cpu_now
from tests.benchmarks.client import deliver_all
from tests.benchmarks.contestants import Contestant, rotated
from tests.benchmarks.processes import ROOT, Command, Failed, Process, run, running, wait_until
from tests.benchmarks.stripe_events import openings
from tests.benchmarks.valkey import Valkey

SCRIPT = ROOT / "tests" / "benchmarks" / "deliveries.lua"
# Half as many again as any web process has taken in a second: a delivery is never sent twice, and
# wrk's first second is a tenth longer.
MOST_PER_SECOND = 36_000
WARM_UP = 500
# Seconds after wrk's end in which what it has sent last is taken in.
SETTLE = 0.2
# After so long wrk counts an answer as none; a slow one is to be seen in p99.
TIMEOUT = "15s"
# Seconds that wrk may take longer than it was told.
GRACE = 30


def write_requests(path: Path, prefix: str, count: int) -> None:
    """For deliveries.lua: each request with its length in eight digits before it."""
    with path.open("wb") as file:
        for request in openings(prefix, count):
            file.write(b"%08d" % len(request))
            file.write(request)


def wrk(port: int, requests: Path, connections: int, seconds: int, log: Path) -> dict[str, Any]:
    """What wrk says of a run. Raises Failed where an answer was not 200."""
    arguments = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", TIMEOUT)
    command = Command(
        (*arguments, "-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(requests))
    )
    log.unlink(missing_ok=True)
    with running(command, log) as process:
        wait_until(lambda: not process.alive(), seconds + GRACE, "end of wrk", every=0.002)
        told = log.read_text()
    _, _, found = told.partition("RESULT ")
    if not found:
        raise Failed(f"wrk told nothing:\n{process.tail()}")
    result: dict[str, Any] = json.loads(found.splitlines()[0])
    if result["refused"] or result["broken"] or result["exhausted"]:
        raise Failed(f"not what was to be measured: {told}")
    return result


class Ingest:
    """Closed loop: each connection sends its next delivery when the last is answered."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        known = bench.contestants
        self._all = [known.bare, known.bare_tuned, known.rq, known.celery, known.product]

    def prepare(self) -> None:
        """That wrk is there."""
        try:
            run(Command(("sh", "-c", "command -v wrk")), self._bench.folder / "wrk.log", GRACE)
        except Failed:
            raise Failed("wrk is missing: apt-get install wrk") from None

    def round(self, number: int) -> None:
        """Each contestant on each kind of Valkey."""
        for fsync in self._bench.plan.fsyncs:
            for contestant in rotated(self._all, number):
                self._measure(number, contestant, fsync)

    def _measure(self, number: int, contestant: Contestant, fsync: str) -> None:
        bench = self._bench
        with (
            bench.valkey(fsync=fsync) as store,
            bench.web(contestant, store) as (process, port),
        ):
            deliver_all(port, openings("w", WARM_UP))
            for connections in bench.plan.connections:
                case = f"{connections} connections, appendfsync {fsync}"
                with bench.leg(f"ingest: {contestant.name}, {case}"):
                    metrics = self._load(contestant, store, process, port, connections)
                    bench.results.add(number, "ingest", case, contestant.name, "bare", **metrics)

    def _load(
        self, contestant: Contestant, store: Valkey, process: Process, port: int, connections: int
    ) -> dict[str, float]:
        bench, seconds = self._bench, self._bench.plan.ingest_seconds
        requests = bench.folder / "requests"
        write_requests(requests, f"i{connections}x", MOST_PER_SECOND * seconds)
        store.client.flushall()
        before = cpu_now([process], store)
        told = wrk(port, requests, connections, seconds, bench.folder / "wrk.log")
        # What wrk no longer heard the answer of is still taken in, and costs.
        time.sleep(SETTLE)
        after = cpu_now([process], store)
        requests.unlink()
        taken = contestant.pending(store.client)
        if not told["requests"] <= taken <= told["requests"] + connections:
            raise Failed(f"{contestant.name} answered {told['requests']} and holds {taken}")
        cpu = after.per_event(before, taken)
        del cpu["cpu_database_us"]
        rate = told["requests"] / told["seconds"]
        return {"per_second": rate, "p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"], **cpu}
