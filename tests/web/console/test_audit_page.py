"""`/console/audit`: who changed what."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.web.console import audit
from app.web.console.console import Console
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.web.console.browser import Browser
from tests.web.console.pages import commands

PAGE = "/console/audit"


@pytest.fixture
def run(environment: Any, monkeypatch: Any, capsys: Any) -> Run:
    """Runs `identity` beside the console."""
    return commands(environment, monkeypatch, capsys)


@pytest.fixture
def entries(console: Console, deployment: Deployment, reader: Browser) -> Console:
    """Three entries after that of the reader's sign-in; one is about a user."""
    deployment.apply(letter("evt_1", "verified", "user-1"))
    for n, who in enumerate(("anna", "ben", "anna")):
        console.stores.audit.record(
            who=who,
            via="cli",
            action="replay",
            target={"queue": "events"} if n else {"reference": "user-1", "livemode": "false"},
            reason=f"because {n}",
            result="refused" if n == 1 else "done",
            at=1_000 + n,
        )
    return console


def test_an_entry_says_who_when_what_why_and_with_what_result(
    entries: Console, reader: Browser
) -> None:
    html = reader.get(f"{PAGE}?who=ben").text
    for part in ("ben", "1970-01-01 00:16:41 UTC", "replay", "queue", "because 1", "refused"):
        assert part in html
    assert "because 2" not in html


def test_the_user_that_an_entry_is_about_leads_to_their_page(
    entries: Console, reader: Browser
) -> None:
    html = reader.get(f"{PAGE}?who=anna").text
    assert '/console/references/user-1?livemode=false">user-1</a>' in html.replace("&amp;", "&")


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", ""),
        ("?who=anna", "--who anna"),
        ("?action=replay&who=", "--action replay"),
        ("?who=ben&action=replay", "--who ben --action replay"),
        ("?who=nobody", "--who nobody"),
    ],
)
def test_the_json_is_what_the_command_gives(
    entries: Console, reader: Browser, run: Run, query: str, options: str
) -> None:
    found = reader.get(f"{PAGE}.json{query}").json()
    assert found == run("audit", "list", "--json", *options.split()).object


def test_pages_are_followed_by_their_links(
    entries: Console, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ROWS", 1)
    first = reader.get(f"{PAGE}?who=anna").text
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    second = reader.get(found[1].replace("&amp;", "&")).text
    assert ("because 2" in first, "because 0" in second) == (True, True)
    assert 'rel="next"' not in second


@pytest.mark.parametrize("query", ["before=x", "before=-1", "who=%00", f"action={'a' * 201}"])
def test_what_cannot_be_read_of_the_address_is_refused(reader: Browser, query: str) -> None:
    assert reader.get(f"{PAGE}?{query}").status_code == 400
