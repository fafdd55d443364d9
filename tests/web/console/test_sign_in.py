"""Who gets in, for how long, how often it may be tried, and how it ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.web.console import sign_in as module
from app.web.console.console import ACTING, Console
from app.web.console.people import People
from app.web.console.sessions import COOKIE, LASTS, Sessions
from app.web.console.tries import NAME_REFILL, OF_A_NAME, OF_ALL, Tries
from tests.web.console.browser import HASH, PASSWORD, Browser, opened_console, signed_in


def test_the_cookie_is_for_this_console_alone_and_no_script_reads_it(stranger: Browser) -> None:
    answer = stranger.post("/console/sign-in", name="reader", password=PASSWORD)
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert attributes == {
        "httponly",
        f"max-age={LASTS}",
        "path=/console",
        "samesite=lax",
        "secure",
    }


def test_without_tls_the_cookie_passes_only_where_that_is_asked_for(
    environment: dict[str, str], redis: Redis
) -> None:
    with opened_console(environment, CONSOLE_INSECURE_COOKIE="1") as client:
        answer = Browser(client).post("/console/sign-in", name="reader", password=PASSWORD)
    assert "secure" not in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("name", "password"),
    [("reader", "another password"), ("nobody", PASSWORD), ("", ""), ("reader", "")],
)
def test_a_wrong_password_and_an_unknown_name_are_told_the_same(
    stranger: Browser, name: str, password: str
) -> None:
    answer = stranger.post("/console/sign-in", name=name, password=password)
    assert answer.status_code == 401
    assert "That name and password do not go together." in answer.text
    assert "set-cookie" not in answer.headers


def test_a_hash_is_checked_for_a_name_that_nobody_has_too(
    stranger: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def matches(hash: str, password: str) -> bool:
        checked.append(hash)
        return True  # it may even be that person's

    monkeypatch.setattr(module, "password_matches", matches)
    assert stranger.post("/console/sign-in", name="nobody", password="x").status_code == 401
    assert checked == [HASH]


def test_what_was_typed_as_a_name_is_logged_only_if_somebody_has_it(stranger: Browser) -> None:
    with capture_logs() as lines:
        stranger.post("/console/sign-in", name="my password PLANTED", password="x")
        stranger.post("/console/sign-in", name="reader", password="PLANTED")
    assert "PLANTED" not in str(lines)
    refused = [line for line in lines if line["event"] == "sign-in refused"]
    assert [line["person"] for line in refused] == [None, "reader"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/v1/references/x",
        "/console/../v1/references/x",
        "/console/%2E%2e/metrics",
        "/console/..\\metrics",
        "javascript:1",
        "",
    ],
)
def test_after_signing_in_nobody_is_led_elsewhere(stranger: Browser, elsewhere: str) -> None:
    answer = stranger.post("/console/sign-in", name="reader", password=PASSWORD, next=elsewhere)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


def test_who_is_signed_in_sees_no_sign_in_page(reader: Browser) -> None:
    answer = reader.get("/console/sign-in?next=/console/audit")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/audit")


def test_signing_out_takes_the_cookie_away(reader: Browser) -> None:
    answer = reader.post("/console/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert f"{COOKIE}=" in answer.headers["set-cookie"]
    assert "max-age=0" in answer.headers["set-cookie"].lower()


def test_signing_in_out_and_in_vain_is_in_the_audit(
    console: Console, web_client: TestClient
) -> None:
    signed_in(web_client, "reader").post("/console/sign-out")
    Browser(web_client).post("/console/sign-in", name="reader", password="x")
    Browser(web_client).post("/console/sign-in", name="nobody", password="x")
    entries = console.stores.audit.page(None, 10)
    assert [(entry.who, entry.action, entry.result) for entry in entries] == [
        ("reader", "sign_in", "refused"),
        ("reader", "sign_out", "done"),
        ("reader", "sign_in", "done"),
    ]


def test_another_site_can_sign_nobody_in_or_out(web_client: TestClient) -> None:
    browser = signed_in(web_client, "reader")
    browser.headers = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/console/sign-in", name="reader", password=PASSWORD).status_code == 403
    answer = browser.post("/console/sign-out")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_too_many_tries_of_a_name_wait_and_an_open_session_does_not(
    web_client: TestClient, reader: Browser
) -> None:
    stranger = Browser(web_client)
    for _ in range(OF_A_NAME):
        assert stranger.post("/console/sign-in", name="reader", password="x").status_code == 401
    answer = stranger.post("/console/sign-in", name="reader", password=PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= NAME_REFILL
    assert reader.get("/console/sign-in").status_code == 303
    assert signed_in(web_client, "operator").cookie


def test_nobody_waits_for_the_actions_of_others_to_sign_in_or_out(
    console: Console, web_client: TestClient
) -> None:
    asked: Any = web_client.portal
    for number in range(ACTING):  # as many as may wait for Stripe
        asked.call(console.acting.acquire_on_behalf_of_nowait, number)
    with ThreadPoolExecutor() as others:
        try:
            browser = others.submit(signed_in, web_client, "reader").result(5)
            assert others.submit(browser.post, "/console/sign-out").result(5).status_code == 303
        finally:
            for number in range(ACTING):
                asked.call(console.acting.release_on_behalf_of, number)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_tries_come_back_with_time_and_the_right_one_costs_nothing() -> None:
    clock = Clock()
    tries = Tries(clock)
    assert [tries.take("anna") for _ in range(OF_A_NAME)] == [0] * OF_A_NAME
    assert tries.take("anna") == NAME_REFILL
    clock.now += NAME_REFILL
    assert tries.take("anna") == 0
    tries.give_back("anna")
    assert tries.take("anna") == 0


def test_tries_are_limited_over_all_names() -> None:
    tries = Tries(Clock())
    waits = [tries.take(f"name {number}") for number in range(2 * OF_ALL)]
    assert waits.count(0) <= OF_ALL
    assert tries.take("another") > 0


def test_a_session_ends_after_its_time_and_not_before() -> None:
    clock = Clock()
    sessions = Sessions({"anna@example.com": HASH}, clock)
    cookie = sessions.cookie_of("anna@example.com")
    clock.now += LASTS
    assert sessions.name_in(cookie) == "anna@example.com"
    clock.now += 1
    assert sessions.name_in(cookie) is None


def test_a_session_ends_with_its_password_and_with_its_person() -> None:
    clock = Clock()
    cookie = Sessions({"anna": HASH}, clock).cookie_of("anna")
    assert Sessions({"anna": HASH + "x"}, clock).name_in(cookie) is None
    assert Sessions({"ben": HASH}, clock).name_in(cookie) is None
    assert Sessions({"anna": HASH, "ben": HASH}, clock).name_in(cookie) == "anna"


def test_a_session_ends_with_its_role() -> None:
    def people(role: str) -> People:
        environment = {"CONSOLE_USERS": f"anna:{role}:{HASH}"}
        return People(Settings.from_environment(environment), Clock())

    cookie = people("read").sessions.cookie_of("anna")
    assert people("read").sessions.name_in(cookie) == "anna"
    assert people("operate").sessions.name_in(cookie) is None


def test_a_forged_cookie_is_nobodys() -> None:
    sessions = Sessions({"anna": HASH, "ben": HASH + "x"}, Clock())
    name, _, rest = sessions.cookie_of("anna").partition(".")
    bens = sessions.cookie_of("ben").partition(".")[0]
    for forged in ("", ".", "anna", name, f"{bens}.{rest}", f"{name}.{rest}x", "é.é.é", "=.a.b"):
        assert sessions.name_in(forged) is None
