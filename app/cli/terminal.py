"""What long commands tell while they run, on standard error, and how times are shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

WIDE = 400  # columns: more than any row has


def for_tables() -> Console:
    """Standard output. Where it is no terminal no row is folded, so that lines can be cut."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


class Bar:
    """A bar with a sentence behind it."""

    def __init__(self, progress: Progress, title: str) -> None:
        """`progress` is shown for as long as it is entered."""
        self._progress = progress
        self._task = progress.add_task(title, total=None, told="")

    def show(self, told: str, done: float = 0, total: float | None = None) -> None:
        """How far it is; without a total the bar only moves."""
        self._progress.update(self._task, completed=done, total=total, told=told)

    def say(self, line: str) -> None:
        """A line above the bar, which stays."""
        self._progress.console.print(line, markup=False, highlight=False)


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    """A bar until the block ends; Ctrl-C ends it with one sentence instead of a traceback."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
    try:
        with progress:
            yield Bar(progress, title)
    except KeyboardInterrupt:
        raise click.ClickException("broken off. Run it again: it goes on from there") from None


def moment(seconds: int | None) -> str:
    """Unix seconds as people read them, in UTC."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def plain(text: str) -> str:
    """Text of a stranger's, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
