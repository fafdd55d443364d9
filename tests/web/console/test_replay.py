"""Replay and discard in four steps, and the operation that comes of them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from app.operations.bulk import preview as bulk_preview
from app.web.console import operations as operations_page
from app.web.console.console import Console
from tests.cli.dlq.letters import bury_five
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.web.console.browser import Browser
from tests.web.console.pages import commands, fields_of

PREVIEW, START = "/console/preview", "/console/operations/start"
# A link or a button to discard with.
OFFER = re.compile(r">Discard [^<]*</(a|button)>|>Discard…</a>")


@pytest.fixture
def run(environment: Any, monkeypatch: Any, capsys: Any) -> Run:
    """Runs `identity` beside the console."""
    return commands(environment, monkeypatch, capsys)


def previewed(browser: Browser, **chosen: Any) -> dict[str, Any]:
    """The fields of the form below a preview."""
    html = browser.get(f"{PREVIEW}?{urlencode(chosen, doseq=True)}").text
    return dict(fields_of(html, START))


def started(browser: Browser, kind: str = "replay", **typed: Any) -> str:
    """The id of an operation on all letters of one reason."""
    fields = previewed(browser, kind=kind, reason="permanent_error")
    answer = browser.post(START, **{**fields, "reason": "mended", **typed})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/console/operations/")


def test_a_preview_shows_how_users_stand_now_and_would_stand_and_does_nothing(
    deployment: Deployment, reader: Browser
) -> None:
    deployment.apply(letter("evt_0", "processing", "a"))
    deployment.bury(letter("evt_1", "verified", "a", at=5), letter("evt_2", "verified", "b"))
    before = deployment.snapshot()
    html = reader.get(f"{PREVIEW}?kind=replay&id=evt_1").text
    assert "processing, wait" in html
    assert "/console/references/a?livemode=false" in html
    assert "/console/references/b" not in html
    assert "To start it needs the role operate." in html
    assert deployment.snapshot() == before


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("kind=replay", "replay"),
        ("kind=replay&reason=timed_out", "replay --reason timed_out"),
        ("kind=discard&id=evt_1&id=evt_3", "discard evt_1 evt_3"),
    ],
)
def test_a_previews_json_is_what_the_command_gives(
    deployment: Deployment, reader: Browser, run: Run, query: str, options: str
) -> None:
    bury_five(deployment)
    found = reader.get(f"{PREVIEW}.json?{query}").json()
    told = run("operations", "start", *options.split(), "--dry-run", "--json").object
    for one in (found, told):  # each is of its own second
        one["digest"] = one["digest"].partition("_")[2]
        for change in one["changes"]:
            (change["after"] or {}).pop("version", None)
    assert found == told


def test_what_was_previewed_becomes_an_operation_with_its_reason_and_rate(
    deployment: Deployment, operator: Browser, console: Console
) -> None:
    bury_five(deployment)
    id = started(operator, rate="5")
    operation = console.stores.operations.get(id)
    assert operation is not None
    assert (operation.kind, operation.total, operation.rate) == ("replay", 3, 5.0)
    assert (operation.who, operation.via, operation.reason) == ("operator", "console", "mended")
    assert operation.selection == {"reason": "permanent_error"}
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.reason, entry.result) == ("start_operation", "mended", "done")
    assert entry.target == {"operation": id, "kind": "replay", "queue": "events"}


def test_letters_that_were_ticked_are_those_of_the_operation(
    deployment: Deployment, operator: Browser, console: Console
) -> None:
    bury_five(deployment)
    fields = previewed(operator, kind="replay", queue="events", id=["evt_1", "evt_5"])
    answer = operator.post(START, **{**fields, "reason": "two"})
    (operation,) = console.stores.operations.page()
    assert answer.headers["location"] == f"/console/operations/{operation.id}"
    assert operation.selection == {"ids": ["evt_1", "evt_5"]}


def test_where_letters_have_changed_the_difference_and_a_new_preview_are_shown(
    deployment: Deployment, operator: Browser, console: Console
) -> None:
    bury_five(deployment)
    fields = previewed(operator, kind="replay", reason="permanent_error")
    deployment.bury(letter("evt_6", "verified", "user-6"))
    deployment.events.discard(["evt_2"])
    answer = operator.post(START, **{**fields, "reason": "mended"})
    assert answer.status_code == 409
    assert "Nothing was started" in answer.text
    assert "user-6" in answer.text
    assert console.stores.operations.page() == []
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.result) == ("start_operation", "refused")
    again = dict(fields_of(answer.text, START))
    assert again["reason"] == ["mended"]
    assert operator.post(START, **again).status_code == 303


def test_a_discard_asks_for_the_number_of_letters(
    deployment: Deployment, redactor: Browser, console: Console
) -> None:
    bury_five(deployment)
    fields = previewed(redactor, kind="discard", reason="permanent_error")
    for typed in ("", "2", "all"):
        answer = redactor.post(START, **{**fields, "reason": "tests", "confirm": typed})
        assert answer.status_code == 400
        assert "type 3 to confirm it" in answer.text
    assert console.stores.operations.page() == []
    assert started(redactor, "discard", confirm="3")


def test_a_discard_cannot_be_undone_and_needs_the_role_for_that(
    deployment: Deployment, operator: Browser, redactor: Browser, console: Console
) -> None:
    bury_five(deployment)
    fields = previewed(redactor, kind="discard", reason="permanent_error")
    answer = operator.post(START, **{**fields, "reason": "tests", "confirm": "3"})
    assert answer.status_code == 403
    assert "this needs redact" in answer.text
    assert console.stores.operations.page() == []
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.who, entry.action, entry.result) == ("operator", "start_operation", "refused")


@pytest.mark.parametrize(
    "path",
    [
        "/console/dead-letters?reason=permanent_error",
        "/console/dead-letters/evt_1",
        f"{PREVIEW}?kind=discard&reason=permanent_error",
    ],
)
def test_a_discard_is_offered_only_to_who_may_do_it(
    deployment: Deployment, operator: Browser, redactor: Browser, path: str
) -> None:
    bury_five(deployment)
    assert OFFER.search(redactor.get(path).text)
    assert not OFFER.search(operator.get(path).text)


def test_a_whole_queue_is_not_discarded(deployment: Deployment, redactor: Browser) -> None:
    bury_five(deployment)
    fields = previewed(redactor, kind="discard")
    answer = redactor.post(START, **{**fields, "reason": "tests", "confirm": "5"})
    assert answer.status_code == 400
    assert "name the letters by id, or by a filter" in answer.text


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"reason": " "}, "eason"),
        ({"reason": "x", "rate": "fast"}, "rate"),
        ({"reason": "x", "rate": "0"}, "rate"),
        ({"reason": "x", "rate": "nan"}, "rate"),
        ({"reason": "x", "digest": "other"}, "digest"),
        ({"reason": "x", "chosen": "kind=burn"}, "has to be one of: replay, discard"),
    ],
)
def test_what_cannot_be_started_is_told(
    deployment: Deployment, operator: Browser, console: Console, typed: Any, told: str
) -> None:
    bury_five(deployment)
    fields = previewed(operator, kind="replay", reason="permanent_error")
    answer = operator.post(START, **{**fields, **typed})
    assert answer.status_code == 400
    assert told in answer.text
    assert console.stores.operations.page() == []


def test_ids_and_filters_together_are_refused(deployment: Deployment, reader: Browser) -> None:
    bury_five(deployment)
    assert reader.get(f"{PREVIEW}?kind=replay&id=evt_1&reason=timed_out").status_code == 400


def test_no_letters_leave_nothing_to_start(operator: Browser) -> None:
    html = operator.get(f"{PREVIEW}?kind=replay").text
    assert "There are no dead letters like that." in html
    assert START not in html


def test_an_operation_is_shown_with_how_far_it_is_and_stopped(
    deployment: Deployment, operator: Browser, reader: Browser, console: Console, run: Run
) -> None:
    bury_five(deployment)
    id = started(operator)
    page = f"/console/operations/{id}"
    html = operator.get(page).text
    for part in ("running", "mended", "0 letters", "as fast as the workers take them", "Reload"):
        assert part in html
    assert f'action="{page}/stop"' not in reader.get(page).text
    console.stores.operations.claim("a worker", int(console.now()))
    assert operator.post(f"{page}/stop").headers["location"] == page
    assert "stopping" in operator.get(page).text
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.target["operation"]) == ("stop_operation", id)
    assert reader.get(f"{page}.json").json() == run("operations", "show", id, "--json").object


def test_operations_are_listed_as_the_command_lists_them(
    deployment: Deployment, operator: Browser, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury_five(deployment)
    ids = {started(operator), started(operator)}
    html = operator.get("/console/operations").text
    assert all(f"/console/operations/{id}" in html for id in ids)
    found = operator.get("/console/operations.json").json()
    assert found == run("operations", "list", "--json").object
    monkeypatch.setattr(operations_page, "ROWS", 1)
    newest = found["data"][0]["id"]
    assert f"/console/operations?before={newest}" in operator.get("/console/operations").text
    (older,) = operator.get(f"/console/operations.json?before={newest}").json()["data"]
    assert {older["id"], newest} == ids


def test_an_operation_that_is_none_is_not_found(reader: Browser, operator: Browser) -> None:
    assert reader.get("/console/operations/op_1").status_code == 404
    assert operator.post("/console/operations/op_1/stop").status_code == 404
    assert reader.get("/console/operations?before=%00").status_code == 400


def test_an_operations_page_goes_on_by_itself_until_it_is_over(
    deployment: Deployment, operator: Browser, console: Console
) -> None:
    bury_five(deployment)
    id = started(operator)
    page = f"/console/operations/{id}"
    assert "data-again" in operator.get(page).text
    console.stores.operations.claim("worker", 1)
    console.stores.operations.change(id, "worker", 2, state="done", done=3, ended_at=2)
    html = operator.get(page).text
    assert "data-again" not in html
    assert f"{page}/stop" not in html
    assert 'max="3" value="3"' in html
    answer = operator.post(f"{page}/stop")
    assert answer.status_code == 409
    assert "is over: done" in answer.text


def test_more_letters_than_an_operation_takes_by_their_ids_are_refused(reader: Browser) -> None:
    ids = urlencode([("id", f"evt_{n}") for n in range(1_001)])
    answer = reader.get(f"{PREVIEW}?kind=replay&{ids}")
    assert answer.status_code == 400
    assert "hoose 1,000 letters at most" in answer.text


def test_of_more_letters_than_a_page_reads_the_newest_are_shown_and_a_replay_takes_all(
    deployment: Deployment, operator: Browser, console: Console, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk_preview, "READ_LETTERS", 2)
    bury_five(deployment)
    text = operator.get(f"{PREVIEW}?kind=replay&reason=permanent_error").text
    assert "at least 1 letter of at least 1 user" in re.sub("<[^>]*>", "", text)
    assert "Replay at least 1 letter" in text
    id = started(operator)
    operation = console.stores.operations.get(id)
    assert operation is not None
    assert "are counted first" in operator.get(f"/console/operations/{id}").text


def test_of_more_letters_than_a_page_reads_none_is_discarded_before_all_are_counted(
    deployment: Deployment, redactor: Browser, console: Console, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bulk_preview, "READ_LETTERS", 2)
    bury_five(deployment)
    text = redactor.get(f"{PREVIEW}?kind=discard&reason=permanent_error").text
    assert START not in text
    (path,) = re.findall(r'href="(/console/preview[^"]*count=every)"', text)
    counted = redactor.get(unescape(path)).text
    assert "3 letters of 3 users" in re.sub("<[^>]*>", "", counted)
    fields = dict(fields_of(counted, START))
    answer = redactor.post(START, **{**fields, "reason": "tests", "confirm": "3"})
    assert answer.status_code == 303
    (operation,) = console.stores.operations.page()
    assert operation.total == 3
