"""`/console/deferred`: what waits to be tried again, seen and tried now."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.web.console import deferred
from app.web.console.console import Console
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.places import new, queued
from tests.web.console.browser import Browser
from tests.web.console.pages import commands, fields_of

PAGE, TRY = "/console/deferred", "/console/deferred/try-now"


@pytest.fixture
def run(environment: Any, monkeypatch: Any, capsys: Any) -> Run:
    """Runs `identity` beside the console."""
    return commands(environment, monkeypatch, capsys)


def defer_three(deployment: Deployment) -> None:
    """Two events and an effect that wait."""
    deployment.defer(letter("evt_1", "verified", "user-1"), seconds=10_800)
    deployment.defer(letter("evt_2", "processing", "user-2"), error_class="Locked", seconds=60)
    effects = deployment.stores.effects
    deployment.defer(new("evt_3-notify"), error_class="Away", seconds=7_200, queue=effects)


def test_both_queues_are_shown_with_why_and_since_when(
    deployment: Deployment, reader: Browser
) -> None:
    defer_three(deployment)
    html = reader.get(PAGE).text
    for part in ("Busy for now", "Locked", "evt_3-notify", "user-2", "3 h"):
        assert part in html


@pytest.mark.parametrize(
    ("query", "options"),
    [("", ""), ("?queue=effects", "--queue effects"), ("?reference=user-2", "--reference user-2")],
)
def test_the_json_is_what_the_command_gives(
    deployment: Deployment, reader: Browser, run: Run, query: str, options: str
) -> None:
    defer_three(deployment)
    told = []
    for part in reader.get(f"{PAGE}.json{query}").json()["queues"]:
        jobs = part.pop("jobs")
        assert part.pop("next") is None
        told += [part, *jobs]
    assert told == run("dlq", "list", "--deferred", "--json", *options.split()).objects


def test_pages_are_followed_by_their_links(
    deployment: Deployment, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "ROWS", 1)
    defer_three(deployment)
    first = reader.get(f"{PAGE}?queue=events").text
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    second = reader.get(found[1].replace("&amp;", "&")).text
    shown = [re.findall(r'">(evt_[^<]+)</a></th>', html) for html in (first, second)]
    assert shown == [["evt_1"], ["evt_2"]]
    assert 'rel="next"' not in second


def test_one_that_is_chosen_is_tried_now_and_that_is_in_the_audit(
    deployment: Deployment, operator: Browser, console: Console
) -> None:
    defer_three(deployment)
    answer = operator.post(TRY, queue="events", id=["evt_2"])
    assert answer.status_code == 303
    assert queued(deployment.redis) == ["evt_2"]
    assert "1 job was" in re.sub("<[^>]+>", "", operator.get(answer.headers["location"]).text)
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.who, entry.action, entry.result) == ("operator", "replay", "done")
    assert entry.target == {"queue": "events", "ids": "evt_2", "deferred": "true", "count": "1"}


def test_all_of_a_filter_are_tried_now_by_the_pages_own_form(
    deployment: Deployment, operator: Browser, console: Console
) -> None:
    defer_three(deployment)
    html = operator.get(f"{PAGE}?queue=events&reference=user-1").text
    form = next(part for part in html.split("<form") if 'name="all"' in part)
    fields = fields_of(f"<form{form}", TRY)
    assert operator.post(TRY, **fields).status_code == 303
    assert queued(deployment.redis) == ["evt_1"]
    (entry,) = console.stores.audit.page(None, 1)
    assert "user-1" not in str(entry.target)


def test_nothing_chosen_is_refused(deployment: Deployment, operator: Browser) -> None:
    defer_three(deployment)
    answer = operator.post(TRY, queue="events")
    assert answer.status_code == 400
    assert "othing was chosen" in answer.text
    assert queued(deployment.redis) == []


def test_a_reason_is_no_filter_here(reader: Browser) -> None:
    assert reader.get(f"{PAGE}?reason=timed_out").status_code == 400


def test_a_job_that_waits_has_a_page_of_its_own(deployment: Deployment, operator: Browser) -> None:
    defer_three(deployment)
    html = operator.get("/console/dead-letters/evt_1").text
    assert "Deferred evt_1" in html
    assert "Try it now" in html


def test_of_both_queues_each_shows_half_and_leads_to_its_own_page(
    deployment: Deployment, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "ROWS", 2)
    defer_three(deployment)
    html = reader.get(PAGE).text
    assert re.findall(r'">(evt_[^<]+)</a></th>', html) == ["evt_1", "evt_3-notify"]
    assert 'rel="next" href="/console/deferred?queue=events"' in html
    assert [len(part["jobs"]) for part in reader.get(f"{PAGE}.json").json()["queues"]] == [2, 1]
