"""What the generated pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def notice(source: str) -> str:
    """The comment on top of a page that nobody edits."""
    return f"<!-- Written by `make docs-reference` from {source}. Edit that, not this page. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [row(head), row(["---"] * len(head)), *(row(cells) for cells in rows)]
    return "\n".join(lines) + "\n"


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"


def plain(text: str) -> str:
    """Text of which nothing is taken for HTML."""
    return text.replace("<", "&lt;")
