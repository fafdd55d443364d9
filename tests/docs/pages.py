"""The pages that people read, and what stands in them: blocks, inline code, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Beside docs/: what GitHub shows, and what an operator of the local Stripe reads.
OTHERS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "PACKAGE.md",
    "SECURITY.md",
    "deploy/sandbox/README.md",
)
PAGES = sorted(DOCS.rglob("*.md")) + [ROOT / name for name in OTHERS]

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
TITLE = re.compile(r' title="([^"]+)"')


class Block(NamedTuple):
    """A fenced block: its language, its text, its page, and its title, which names a file."""

    page: Path
    language: str
    text: str
    title: str | None = None


def name_of(page: Path) -> str:
    """A page as a test's id."""
    return str(page.relative_to(ROOT))


def read(page: Path) -> str:
    """The page's text."""
    return page.read_text("utf-8")


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The page's fenced blocks, of these languages or of all."""
    return _blocks(page, read(page), languages)


def section_blocks(page: Path, heading: str, *languages: str) -> list[Block]:
    """Those under a heading and the headings below it."""
    return list(_blocks(page, section(page, heading), languages))


def _blocks(page: Path, text: str, languages: Sequence[str]) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        indent, language, inside = match.groups()
        if not languages or language in languages:
            lines = [line.removeprefix(indent) for line in inside.splitlines()]
            title = TITLE.search(match[0].partition("\n")[0])
            yield Block(page, language, "\n".join(lines) + "\n", title[1] if title else None)


def section(page: Path, heading: str) -> str:
    """What stands under a heading, down to the next of its level or above."""
    text = read(page)
    found = next(one for one in HEADING.finditer(text) if one[1] == heading)
    above = rf"#{{1,{_level(found)}}} "
    following = (one.start() for one in HEADING.finditer(text, found.end()))
    end = next((at for at in following if re.match(above, text[at:])), len(text))
    return text[found.end() : end]


def _level(heading: re.Match[str]) -> int:
    return len(heading[0]) - len(heading[0].lstrip("#"))


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", read(page))


def inline_code(page: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return INLINE.findall(prose(page))


def links(page: Path) -> list[str]:
    """The targets of its links and pictures."""
    return LINK.findall(INLINE.sub("", prose(page)))


def headings(page: Path) -> list[str]:
    """Its headings, without their markup."""
    return [
        re.sub(r"[`*]|\]\([^)]*\)|\[", "", text).strip() for text in HEADING.findall(prose(page))
    ]
