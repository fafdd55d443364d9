"""What stands between a form and what it does: session, origin, role, size, audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.console import sign_in
from app.web.console.console import REFUSED_BURST, Console
from app.web.console.forms import MAX_FORM
from app.web.console.routes import ConsoleRoutes
from tests.web.console import probe
from tests.web.console.browser import ADDRESS, CONSOLE_USERS, Browser

PRESS = "/console/probe/7/press"


@pytest.fixture
def console(environment: dict[str, str], redis: Redis) -> Iterator[Console]:
    settings = Settings.from_environment({**environment, "CONSOLE_USERS": CONSOLE_USERS})
    console = Console.of(settings, now=lambda: 1_800_000_000.0)
    yield console
    console.stores.close()


@pytest.fixture
def web_client(console: Console) -> Iterator[TestClient]:
    app = Starlette(routes=[ConsoleRoutes(console, (sign_in, probe))])
    with TestClient(app, ADDRESS, follow_redirects=False) as client:
        yield client


def audited(console: Console) -> list[Any]:
    """The entries of all but signing in, the newest first."""
    entries = console.stores.audit.page(None, 10)
    return [entry for entry in entries if entry.action != "sign_in"]


def test_what_is_done_leads_on_and_is_in_the_audit(console: Console, operator: Browser) -> None:
    answer = operator.post(PRESS, reason="because")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/probe/1")
    (entry,) = audited(console)
    assert (entry.who, entry.via, entry.action) == ("operator", "console", "press")
    assert (entry.at, entry.reason, entry.result) == (1_800_000_000, "because", "done")
    assert entry.target == {"id": "7", "pressed_by": "operator"}


def test_a_higher_role_may_do_what_a_lower_one_may(redactor: Browser) -> None:
    assert redactor.post(PRESS, reason="because").status_code == 303


def test_a_role_that_is_too_low_is_refused_and_that_is_in_the_audit(
    console: Console, reader: Browser
) -> None:
    answer = reader.post(PRESS, reason="because")
    assert answer.status_code == 403
    assert "Your role is read, and this needs operate." in answer.text
    (entry,) = audited(console)
    assert (entry.who, entry.action, entry.result) == ("reader", "press", "refused")
    assert entry.target == {"id": "7"}


def test_what_is_refused_over_and_over_does_not_fill_the_audit(
    console: Console, reader: Browser, operator: Browser
) -> None:
    for _ in range(REFUSED_BURST):
        console.refused.allows()
    assert reader.post(PRESS, reason="because").status_code == 403
    assert operator.post(PRESS, reason="because").status_code == 303
    assert [entry.result for entry in audited(console)] == ["done"]


def test_who_is_not_signed_in_does_nothing(console: Console, stranger: Browser) -> None:
    assert stranger.post(PRESS, reason="because").status_code == 401
    assert audited(console) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://console.test"}, 303),
        ({"Origin": "https://console.test"}, 303),
        ({"Origin": "http://console.test"}, 303),  # a proxy has taken TLS off
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://console.test"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "https://console.test.evil.test"}, 403),
        ({"Origin": "https://console.test:8443"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://[console.test"}, 403),
        ({}, 403),
    ],
)
def test_only_a_page_of_the_console_can_have_anything_done(
    console: Console, operator: Browser, headers: dict[str, str], status: int
) -> None:
    operator.headers = headers
    assert operator.post(PRESS, reason="because").status_code == status
    (entry,) = audited(console)
    assert entry.result == ("done" if status == 303 else "refused")


def test_what_the_rules_refuse_is_a_page_and_in_the_audit(
    console: Console, operator: Browser
) -> None:
    answer = operator.post(PRESS, why="conflict", reason="because")
    assert answer.status_code == 409
    assert "Something is in the way." in answer.text
    (entry,) = audited(console)
    assert (entry.result, entry.reason) == ("refused", "because")


def test_a_fault_of_ours_is_in_the_audit_as_one(console: Console, operator: Browser) -> None:
    answer = operator.post(PRESS, why="fault", reason="because")
    assert answer.status_code == 500
    assert "PLANTED" not in answer.text
    assert [entry.result for entry in audited(console)] == ["failed"]


def test_a_field_that_is_missing_is_named(operator: Browser) -> None:
    answer = operator.post(PRESS)
    assert answer.status_code == 400
    assert "The form has no `reason`." in answer.text


def test_what_has_to_be_typed_is_asked_for(operator: Browser) -> None:
    answer = operator.post(PRESS, reason="because", number="37", confirm="36")
    assert answer.status_code == 400
    assert "type 37 to confirm it" in answer.text
    assert operator.post(PRESS, reason="because", number="37", confirm=" 37 ").status_code == 303


def test_a_form_is_read_no_further_than_its_limit(console: Console, operator: Browser) -> None:
    answer = operator.post(PRESS, reason="x" * MAX_FORM)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert [entry.result for entry in audited(console)] == ["refused"]


@pytest.mark.parametrize("body", [b"%ff=1", b"\xff=1", b"&".join([b"a=1"] * 1_001)])
def test_a_form_that_cannot_be_read_is_refused(
    web_client: TestClient, operator: Browser, body: bytes
) -> None:
    headers = operator._headers({"content_type": "application/x-www-form-urlencoded"})
    assert web_client.post(PRESS, content=body, headers=headers).status_code == 400


def test_another_type_than_a_forms_is_refused(web_client: TestClient, operator: Browser) -> None:
    headers = operator._headers({"content_type": "application/json"})
    answer = web_client.post(PRESS, content=b"{}", headers=headers)
    assert answer.status_code == 400


def test_an_action_has_no_page_and_no_get(operator: Browser, console: Console) -> None:
    assert operator.get(PRESS).status_code == 405
    assert audited(console) == []
