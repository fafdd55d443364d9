"""`identity demo`: run the whole product once on this machine."""

from __future__ import annotations

import json
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.dev_text import this_program
from app.cli.output import say
from app.local.comparison import Comparison
from app.local.demo import DemoResult, run_demo
from app.local.scenarios import scenarios
from app.local.signals import ignore_stop_signals, raise_on_stop_signals
from app.local.stack import NotStarted, Secrets, Stack
from app.local.stories import Story, describe

WIDTH = 80  # columns


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
@click.option("--all", "show_all", is_flag=True, help="Show every user at the end.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def demo(references: int, seed: int, show_all: bool, as_json: bool) -> None:
    """Run the whole product once: no Stripe account, no network, nothing left behind.

    Starts Valkey, a local stand-in for Stripe Identity, web and workers in a temporary folder;
    opens sessions for a number of references and acts as their users; delivers every event signed,
    many of them twice and out of order; breaks the handling of one session's events, repairs it and
    replays them from the dead letters; and ends by comparing every reference with what Stripe says,
    and with a few users' stories.

    Exit code 0 only if every reference agrees.
    """
    began = time.monotonic()
    raise_on_stop_signals()
    with _temporary_folder() as folder:
        result = _run(Path(folder), references, seed)
        ignore_stop_signals()
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
        say(json.dumps(asdict(summary)))
    else:
        say(report(summary, result, show_all=show_all))
    sys.exit(0 if summary.matching == references else 1)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="identity-demo-")
    except OSError as error:
        raise click.ClickException(f"{error.strerror or error}: set TMPDIR to another") from None


def _run(folder: Path, references: int, seed: int) -> DemoResult:
    stack = Stack(folder, Secrets.random(), seed=seed)
    try:
        with stack, _progress() as progress:
            return run_demo(stack, scenarios(references, seed), progress)
    except (NotStarted, RuntimeError) as error:
        raise click.ClickException(f"{error}\n{stack.tail()}".rstrip()) from None


def _progress() -> Progress:
    columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


def report(summary: Summary, result: DemoResult, *, show_all: bool) -> str:
    """The verdict, who differs, the stories, and everybody if `show_all`; 80 columns at most."""
    differing = [one for one in result.comparisons if not one.matches]
    parts = [_verdict(summary), *map(_difference, differing), _what_happened(summary)]
    parts += map(_story, result.stories)
    if show_all:
        parts.append(_everybody(result.comparisons))
    parts.append(_what_next(show_all))
    return "\n\n".join(parts)


def _verdict(summary: Summary) -> str:
    if summary.matching == summary.references:
        return f"All {summary.references} users stand in the ledger as Stripe says."
    differing = summary.references - summary.matching
    return f"{differing} of {summary.references} users do NOT stand in the ledger as Stripe says:"


def _difference(one: Comparison) -> str:
    says = f"{one.truth.session_id}, failed attempts {one.truth.attempts}, {one.truth.status}"
    says += "".join(f", {more}" for more in (one.truth.last_error, one.truth.redaction) if more)
    lines = (("the ledger says", describe(one.standing)), ("Stripe says", says))
    return _story(Story("They differ", one.reference, lines))


def _what_happened(summary: Summary) -> str:
    return textwrap.fill(
        f"{summary.deliveries} signed deliveries, {summary.duplicates} of them duplicates, "
        f"many out of order; {summary.dead_lettered} dead letters, all replayed; "
        f"{summary.seconds} seconds.",
        WIDTH,
    )


def _story(story: Story) -> str:
    lines = [_wrapped(f"  {name:<17}", text) for name, text in story.lines]
    return "\n".join([f"{story.title}: {story.reference}", *lines])


def _wrapped(start: str, text: str) -> str:
    """The text after its start, in lines that are filled below it. No id is broken."""
    return textwrap.fill(
        start + text,
        WIDTH,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _everybody(comparisons: Sequence[Comparison]) -> str:
    return "\n".join(
        _wrapped(f"{one.reference:<12}{'' if one.matches else 'DIFFERS: '}", describe(one.standing))
        for one in comparisons
    )


def _what_next(show_all: bool) -> str:
    more = "" if show_all else "`--all` shows every user.\n"
    return f"{more}Next: `{this_program()} dev` starts the same and stays up."
