"""`identity demo`: the whole product, played through on this machine."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.cli.local.lives import Life, lives, play
from app.cli.local.sabotage import broken_session
from app.cli.local.stack import NotStarted, Secrets, Stack
from app.cli.local.stripe_side import StripeSide, Truth
from app.domain.reference import Standing
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.queue.connection import open_redis
from app.queue.dead_letters import DeadLetters
from app.queue.jobs import JobQueue
from app.queue.model import EVENTS

# Lives at a time: more would only wait for the two cores.
SIDE_BY_SIDE = 4
# Seconds for what is under way to arrive once every life is lived. A tie is settled by a check-back
# of three seconds, a delivery held back by chaos comes within two.
SETTLE_WITHIN = 30.0
SETTLE_FOR_EACH = 0.1  # seconds more for each reference
CHAOS = {"duplicate": 0.3, "reorder": 0.3}
# Rows of the table for people; every reference that does not match is shown all the same.
ROWS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One reference at the end."""

    reference: str
    standing: Standing | None
    truth: Truth

    @property
    def matches(self) -> bool:
        """Whether the ledger says what Stripe says."""
        standing = self.standing
        return standing is not None and self.truth == Truth(
            status=standing.status,
            session_id=standing.session_id or "",
            last_error=standing.last_error_code,
            attempts=standing.attempts,
            redaction=standing.redaction,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What `--json` tells."""

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
    help="Users whose lives are lived.",
)
@click.option("--seed", default=1, show_default=True, help="Draws the lives and the disorder.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def demo(references: int, seed: int, as_json: bool) -> None:
    """Play the whole product through: no Stripe account, no network, nothing left behind.

    Starts Valkey, a local stand-in for Stripe Identity, web and workers in a temporary folder;
    opens sessions for a number of references and lives their lives; delivers every event signed,
    many of them twice and out of order; breaks the handling of one session's events, mends it and
    replays them from the dead letters; and ends by comparing every reference with what Stripe says.

    Exit code 0 only if every reference agrees.
    """
    began = time.monotonic()
    console = Console(stderr=True)
    # Both, and by name: a shell that starts us in the background has Ctrl-C ignored.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="identity-demo-") as folder:
        keys = Secrets(
            webhook="whsec_" + secrets.token_hex(16),
            api_key="sk_test_" + secrets.token_hex(16),
            api_token=secrets.token_hex(16),
        )
        stack = Stack(Path(folder), keys, seed=seed)
        try:
            with stack, _progress(console) as progress:
                lines, numbers = Demo(stack, progress).run(lives(references, seed))
        except (NotStarted, RuntimeError) as error:
            raise click.ClickException(f"{error}\n{stack.tail()}") from None
    matching = sum(line.matches for line in lines)
    seconds = round(time.monotonic() - began, 1)
    summary = Summary(references, matching, seconds=seconds, **numbers)
    _show(summary, lines, as_json)
    sys.exit(0 if matching == references else 1)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


class Demo:
    """The play's acts, in their order."""

    def __init__(self, stack: Stack, progress: Progress) -> None:
        """`stack` is not started yet."""
        self._stack = stack
        self._progress = progress
        self._side = StripeSide(stack.sandbox, stack.secrets.api_key)
        self._queue = JobQueue(open_redis(stack.valkey.url), EVENTS)
        self._engine = open_engine(stack.database_url)
        self._ledger = Ledger(self._engine)

    def run(self, played: list[Life]) -> tuple[list[Line], dict[str, int]]:
        """Play; gives the last table's lines, and the numbers that the summary tells."""
        self._start()
        self._side.control("chaos", CHAOS)
        self._side.control("redaction", {"seconds": 0})
        victim = self._side.create(played[0].reference)
        with broken_session(self._engine, victim):
            self._side.submit(victim, "document_expired")
            self._await_dead_letter()
            self._live(played[1:])
        dead, replayed = self._replay()
        lines = self._settle(len(played))
        told = self._side.control("deliveries")
        outcomes = told["outcomes"]
        self._engine.dispose()
        numbers = {
            "deliveries": int(told["deliveries"]),
            "duplicates": int(outcomes.get("duplicate", 0)),
            "dead_lettered": dead,
            "replayed": replayed,
        }
        return lines, numbers

    def _start(self) -> None:
        task = self._progress.add_task("Starting the processes", total=4)

        def tell(what: str) -> None:
            self._progress.update(task, description=f"Starting {what}")
            self._progress.advance(task)

        self._stack.start(tell)
        self._progress.update(task, description="Everything is up")

    def _live(self, played: list[Life]) -> None:
        task = self._progress.add_task("Living the users' lives", total=len(played))
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for _ in pool.map(lambda life: play(life, self._side), played):
                self._progress.advance(task)

    def _await_dead_letter(self) -> None:
        task = self._progress.add_task("One session's events die", total=1)
        deadline = time.monotonic() + SETTLE_WITHIN
        while not self._queue.counts()["failed"]:
            if time.monotonic() > deadline:
                raise NotStarted("no event reached the dead letters, though one was made to die")
            time.sleep(0.05)
        self._progress.advance(task)

    def _replay(self) -> tuple[int, int]:
        """Replay the dead letters, now that the fault is mended, until none is left."""
        task = self._progress.add_task("They are replayed", total=None)
        letters: set[str] = set()
        replayed = 0
        # One that was claimed while the fault was there may be buried just after it is mended.
        deadline = time.monotonic() + SETTLE_WITHIN
        while time.monotonic() < deadline:
            ids = [letter.id for letter in DeadLetters(self._queue.connection, EVENTS)]
            letters |= set(ids)
            replayed += self._queue.replay(ids)
            if letters and not ids:
                break
            time.sleep(0.5)
        self._progress.update(task, total=len(letters), completed=len(letters))
        return len(letters), replayed

    def _settle(self, references: int) -> list[Line]:
        """Wait until nothing is under way and all agrees, or the time for it is over."""
        task = self._progress.add_task("References that agree with Stripe", total=references)
        deadline = time.monotonic() + SETTLE_WITHIN + SETTLE_FOR_EACH * references
        while True:
            quiet = not self._side.control("deliveries")["pending"]
            quiet = quiet and not any(self._queue.counts().values())
            lines = self._compare()
            matching = sum(line.matches for line in lines)
            self._progress.update(task, completed=matching)
            if (quiet and matching == references) or time.monotonic() > deadline:
                return lines
            if self._stack.dead():
                return lines
            time.sleep(0.25)

    def _compare(self) -> list[Line]:
        truths = self._side.truth()
        standings = dict(self._ledger.all_standings(livemode=False))
        return [
            Line(reference, standings.get(reference), truths[reference])
            for reference in sorted(truths)
        ]


def _show(summary: Summary, lines: Iterable[Line], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(summary)))
        return
    console = Console()
    table = Table(title="What the ledger says, and what Stripe says")
    for heading in ("reference", "standing", "next step", "Stripe says", "same"):
        table.add_column(heading, overflow="fold")
    for number, line in enumerate(lines):
        if number < ROWS or not line.matches:
            table.add_row(*_cells(line))
    console.print(table)
    if summary.references > ROWS:
        console.print(f"The first {ROWS} of {summary.references}, and each that is not the same.")
    console.print(
        f"{summary.matching} of {summary.references} references agree with Stripe, after "
        f"{summary.deliveries} signed deliveries, {summary.duplicates} of them doubles, and "
        f"{summary.replayed} dead letter(s) replayed, in {summary.seconds} s."
    )
    console.print("Next: `python -m app dev` starts the same and stays, for your own hands.")


def _cells(line: Line) -> tuple[str, ...]:
    standing, truth = line.standing, line.truth
    says = truth.status + (f" ({truth.last_error})" if truth.last_error else "")
    says += f", {truth.redaction}" if truth.redaction else ""
    if standing is None:
        return line.reference, "-", "-", says, "NO"
    ours = standing.status + (f", {standing.redaction}" if standing.redaction else "")
    return line.reference, ours, standing.next_step, says, "yes" if line.matches else "NO"
