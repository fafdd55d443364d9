"""`identity demo`: run the whole product once on this machine."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.local.demo import Comparison, run_demo
from app.local.scenarios import scenarios
from app.local.signals import raise_on_stop_signals
from app.local.stack import NotStarted, Secrets, Stack

# Rows of the table; a reference that does not match is always shown.
MAX_ROWS = 60


@dataclass(frozen=True, slots=True)
class Summary:
    """What `--json` prints."""

    references: int
    matching: int
    deliveries: int
    duplicates: int
    dead_lettered: int
    replayed: int
    seconds: float


@click.command()
@click.option(
    "--references",
    default=50,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Number of users to simulate.",
)
@click.option(
    "--seed", default=1, show_default=True, help="Determines the scenarios and the disorder."
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def demo(references: int, seed: int, as_json: bool) -> None:
    """Run the whole product once: no Stripe account, no network, nothing left behind.

    Starts Valkey, a local stand-in for Stripe Identity, web and workers in a temporary folder;
    opens sessions for a number of references and acts as their users; delivers every event signed,
    many of them twice and out of order; breaks the handling of one session's events, repairs it and
    replays them from the dead letters; and ends by comparing every reference with what Stripe says.

    Exit code 0 only if every reference agrees.
    """
    began = time.monotonic()
    raise_on_stop_signals()
    with tempfile.TemporaryDirectory(prefix="identity-demo-") as folder:
        stack = Stack(Path(folder), Secrets.random(), seed=seed)
        try:
            with stack, _progress() as progress:
                result = run_demo(stack, scenarios(references, seed), progress)
        except (NotStarted, RuntimeError) as error:
            raise click.ClickException(f"{error}\n{stack.tail()}") from None
    summary = Summary(
        references=references,
        matching=sum(comparison.matches for comparison in result.comparisons),
        deliveries=result.deliveries,
        duplicates=result.duplicates,
        dead_lettered=result.dead_lettered,
        replayed=result.replayed,
        seconds=round(time.monotonic() - began, 1),
    )
    if as_json:
        click.echo(json.dumps(asdict(summary)))
    else:
        _show(summary, result.comparisons)
    sys.exit(0 if summary.matching == references else 1)


def _progress() -> Progress:
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


def _show(summary: Summary, comparisons: Iterable[Comparison]) -> None:
    console = Console()
    table = Table(title="What the ledger says, and what Stripe says")
    for heading in ("reference", "standing", "next step", "Stripe says", "same"):
        table.add_column(heading, overflow="fold")
    for number, comparison in enumerate(comparisons):
        if number < MAX_ROWS or not comparison.matches:
            table.add_row(*_cells(comparison))
    console.print(table)
    if summary.references > MAX_ROWS:
        console.print(f"The first {MAX_ROWS} of {summary.references}, and each that differs.")
    console.print(
        f"{summary.matching} of {summary.references} references agree with Stripe, after "
        f"{summary.deliveries} signed deliveries, {summary.duplicates} of them duplicates, and "
        f"{summary.replayed} dead letter(s) replayed, in {summary.seconds} s."
    )
    console.print("Next: `python -m app dev` starts the same and stays up, to try by hand.")


def _cells(comparison: Comparison) -> tuple[str, ...]:
    reference, standing, truth = comparison.reference, comparison.standing, comparison.truth
    says = truth.status + (f" ({truth.last_error})" if truth.last_error else "")
    says += f", {truth.redaction}" if truth.redaction else ""
    if standing is None:
        return reference, "-", "-", says, "NO"
    ours = standing.status + (f", {standing.redaction}" if standing.redaction else "")
    return reference, ours, standing.next_step, says, "yes" if comparison.matches else "NO"
