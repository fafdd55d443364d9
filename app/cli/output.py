"""The output that commands share: progress on standard error, tables, times, foreign text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

MAX_WIDTH = 400  # columns: more than any row has


def table_console() -> Console:
    """Standard output. If it is not a terminal, each row is one line, for other programs."""
    console = Console()
    return console if console.is_terminal else Console(width=MAX_WIDTH)


def say(text: str) -> None:
    """Print it. Raises ClickException if nobody takes it: a closed pipe, a full disk."""
    try:
        click.echo(text)
    except OSError as error:
        # What is left in the buffer would fail once more when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.ClickException(f"standard output: {error.strerror}") from None


def say_if_heard(text: str) -> None:
    """Print it, if anybody is there: Ctrl-C has ended the other side of a pipe as well."""
    with suppress(click.ClickException):
        say(text)


class ProgressBar:
    """A bar with a message after it."""

    def __init__(self, progress: Progress, title: str, total: float | None = None) -> None:
        """`progress` shows the bar until its block ends."""
        self._progress = progress
        self._task = progress.add_task(title, total=total, message="")

    def update(self, message: str, done: float = 0, total: float | None = None) -> None:
        """Show how far it is; without a total the bar only moves."""
        self._progress.update(self._task, completed=done, total=total, message=message)

    def report(self, line: str) -> None:
        """Print a line above the bar, which stays."""
        self._progress.console.print(line, markup=False, highlight=False)


@contextmanager
def progress_bar(title: str, total: float | None = None) -> Iterator[ProgressBar]:
    """A bar on standard error until the end of the block. Without a total it only moves."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[message]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        yield ProgressBar(progress, title, total)


@contextmanager
def resumable_progress(title: str) -> Iterator[ProgressBar]:
    """The same for work that the next run continues: Ctrl-C ends it with a message that says so."""
    try:
        with progress_bar(title) as bar:
            yield bar
    except KeyboardInterrupt:
        raise click.ClickException("interrupted. Run it again: it continues from there") from None


def format_time(seconds: int | None) -> str:
    """Unix seconds as a date and time in UTC; `-` for None."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Text from outside, without the characters that control a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
