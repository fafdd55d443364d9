"""`/console/effects`: what follows from a commit and is not done yet."""

from __future__ import annotations

import re
import time

import pytest

from app.web.console import effects
from tests.support.deployment import Deployment, letter
from tests.web.console.browser import Browser
from tests.web.console.pages import commands

PAGE = "/console/effects"


@pytest.fixture
def three(deployment: Deployment) -> Deployment:
    """Three rechecks: one that is queued, one that is dead, one that waits."""
    for n in range(3):
        deployment.apply(letter(f"evt_{n}", "processing", f"user-{n}"))
    ids = sorted(f"evt_{n}-recheck" for n in range(3))
    now = int(time.time())
    deployment.ledger.forget_enqueued()
    deployment.ledger.mark_enqueued(ids[:2], now)
    deployment.ledger.mark_failed(ids[1:2], now)
    return deployment


def test_effects_are_counted_by_state_and_kind(three: Deployment, reader: Browser) -> None:
    found = reader.get(f"{PAGE}.json").json()
    assert [(one["state"], one["kind"], one["count"]) for one in found["counts"]] == [
        ("waiting", "recheck", 1),
        ("queued", "recheck", 1),
        ("dead", "recheck", 1),
    ]


@pytest.mark.parametrize(
    ("state", "id"),
    [("waiting", "evt_2-recheck"), ("queued", "evt_0-recheck"), ("dead", "evt_1-recheck")],
)
def test_each_state_has_its_list(three: Deployment, reader: Browser, state: str, id: str) -> None:
    html = reader.get(f"{PAGE}?state={state}").text
    assert set(re.findall(r"evt_\d-recheck(?=<)", html)) == {id}
    assert [one["id"] for one in reader.get(f"{PAGE}.json?state={state}").json()["data"]] == [id]


@pytest.mark.parametrize("state", ["waiting", "queued", "dead"])
def test_the_json_is_what_the_command_gives(
    three: Deployment,
    reader: Browser,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: str,
) -> None:
    run = commands(environment, monkeypatch, capsys)
    found = reader.get(f"{PAGE}.json?state={state}").json()
    assert found == run("effects", "--state", state, "--json").object


def test_pages_are_followed_by_their_links(
    three: Deployment, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "ROWS", 1)
    three.ledger.forget_enqueued()
    seen, address = [], f"{PAGE}?state=waiting"
    for _ in range(3):
        html = reader.get(address).text
        seen += re.findall(r"evt_\d-recheck(?=<)", html)
        found = re.search(r'rel="next" href="([^"]+)"', html)
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"evt_{n}-recheck" for n in range(3)]
    assert not address


def test_nothing_left_to_do_is_said(reader: Browser) -> None:
    assert "Everything is done." in reader.get(PAGE).text


@pytest.mark.parametrize("query", ["state=lost", "after=evt_1", "after=1%00~x", "after=5~%00"])
def test_what_cannot_be_read_of_the_address_is_refused(reader: Browser, query: str) -> None:
    assert reader.get(f"{PAGE}?{query}").status_code == 400
