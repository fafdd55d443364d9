"""The page on troubleshooting has every message of a store's fault, and no other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.faults import Fault, explain
from app.ledger.faults import FAULTS as OF_THE_LEDGER
from app.outages import LINES
from app.queue.faults import FAULTS as OF_REDIS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
# What stands in the page for what a message fills in.
SHOWN = {
    "Redis": {"redis": "Redis at HOST:PORT", "where": "HOST:PORT", "detail": "…"},
    "The ledger": {"store": "STORE", "where": "HOST:PORT or PATH", "database": "NAME"},
}
FAULTS = {"Redis": OF_REDIS, "The ledger": OF_THE_LEDGER}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """The table under a heading: message and advice by code."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    found = re.findall(r"^\| ([^|]+) \| `(\w+)` \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE)
    return {code: (message, advice) for message, code, advice in found}


def messages(faults: Mapping[str, Fault], shown: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The same as the code has it."""
    explained = [explain(faults, code, **shown) for code in faults]
    return {code: (message, advice) for message, code, advice in explained}


@pytest.mark.parametrize("heading", FAULTS)
def test_the_table_is_what_the_code_says(heading: str) -> None:
    assert rows(heading) == messages(FAULTS[heading], SHOWN[heading])


def test_the_lines_of_an_outage_are_named() -> None:
    catalogue = (ROOT / "docs/reference/logs.md").read_text("utf-8")
    told = re.findall(r"^\| `([^`]+)` \| \w+ \| outages \|", catalogue, re.MULTILINE)
    assert len(told) == 3 * len(LINES)
    assert [event for event in told if f"`{event}`" not in PAGE.replace("\n", " ")] == []
