"""`python -m tests.benchmarks`: measure, and tell in one table."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.benchmarks.bench import FAILURES, Bench, Part
from tests.benchmarks.catch_up import CatchUp
from tests.benchmarks.contestants import Bare, BareTuned, Celery, Contestants, Rq
from tests.benchmarks.databases import SqliteDatabases, postgres
from tests.benchmarks.drain import Drain
from tests.benchmarks.growth import Growth
from tests.benchmarks.hostile import Hostile
from tests.benchmarks.idle import Idle
from tests.benchmarks.ingest import Ingest
from tests.benchmarks.latency import Latency
from tests.benchmarks.machine import describe
from tests.benchmarks.picture import draw
from tests.benchmarks.plan import FULL, NORMAL, PARTS, QUICK, Plan
from tests.benchmarks.processes import ROOT
from tests.benchmarks.product import Product
from tests.benchmarks.replay import Replay
from tests.benchmarks.results import Results
from tests.benchmarks.table import table

MAKERS: dict[str, Callable[[Bench], Part]] = {
    "ingest": Ingest,
    "hostile": Hostile,
    "drain": Drain,
    "latency": Latency,
    "idle": Idle,
    "growth": Growth,
    "replay": Replay,
    "catch-up": CatchUp,
}
NARROWEST = 205  # columns, where the output is no terminal


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one tiny round: does all of it work?")
    size.add_argument("--full", action="store_true", help="a million in growth; takes hours")
    parser.add_argument("--rounds", type=int, metavar="N", help="instead of five")
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this part; may be given again"
    )
    parser.add_argument(
        "--sizes", metavar="N,N", help="queue and ledger lengths of growth, smallest first"
    )
    parser.add_argument("--letters", type=int, metavar="N", help="dead letters of replay")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    parser.add_argument(
        "--earlier",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="a run's JSON: table and picture show its parts beside those measured now",
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the table there")
    parser.add_argument(
        "--product",
        type=Path,
        metavar="DIR",
        default=ROOT,
        help="another checkout of the product to measure; its requirements have to be ours",
    )
    return parser.parse_args()


def plan_of(arguments: argparse.Namespace) -> Plan:
    """How much to measure."""
    plan = QUICK if arguments.quick else FULL if arguments.full else NORMAL
    if arguments.rounds:
        plan = replace(plan, rounds=max(1, arguments.rounds))
    if arguments.sizes:
        plan = replace(plan, growth_sizes=tuple(map(int, arguments.sizes.split(","))))
    if arguments.letters:
        plan = replace(plan, dead_letters=arguments.letters)
    return plan


def measure(
    arguments: argparse.Namespace,
    plan: Plan,
    results: Results,
    failures: list[str],
    console: Console,
) -> None:
    """Every part that was asked for, round by round. `results` has what was reached."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    contestants = Contestants(
        Product(arguments.product.resolve()), Bare(), BareTuned(), Rq(), Celery()
    )
    with (
        Progress(*columns, console=console, transient=True) as progress,
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        postgres() as databases,
    ):
        task = progress.add_task("")
        where = "preparing"

        def tell(what: str) -> None:
            progress.update(task, description=f"{where} · {what}")

        sqlite = SqliteDatabases(Path(name) / "sqlite")
        bench = Bench(Path(name), plan, contestants, databases, sqlite, results, tell, failures)
        chosen = [part for part in PARTS if not arguments.only or part in arguments.only]
        parts = [MAKERS[part](bench) for part in chosen]
        for part in parts:
            part.prepare()
        for number in range(plan.rounds):
            where = f"round {number + 1} of {plan.rounds}"
            if not console.is_terminal:  # where nothing spins, say at least this
                console.print(where)
            for part in parts:
                part.round(number)


def stop(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends us as Ctrl-C does. A second signal does not break off the cleaning up."""
    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Exit code 1 where something could not be measured, 130 where it was broken off."""
    arguments = parsed()
    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, stop)
    plan, results, console = plan_of(arguments), Results(), Console(stderr=True)
    failures: list[str] = []
    code = 0
    try:
        measure(arguments, plan, results, failures, console)
    except KeyboardInterrupt:
        console.print("Broken off: what follows was measured by then.")
        code = 130
    except FAILURES as failure:
        failures.append(str(failure))
    for told in failures:
        console.print(told, markup=False)
        code = code or 1
    for file in arguments.earlier:
        results.add_earlier(json.loads(file.read_text())["rows"])
    if results.rows():
        machine = describe(arguments.product)
        output = Console()
        if not output.is_terminal:
            output = Console(width=NARROWEST)
        output.print(table(results, machine))
        if arguments.json:
            document = {"machine": machine, "plan": asdict(plan), "rows": results.as_json()}
            arguments.json.write_text(json.dumps(document, indent=1) + "\n")
        if arguments.svg:
            arguments.svg.write_text(draw(results, machine))
    return code


if __name__ == "__main__":
    sys.exit(main())
