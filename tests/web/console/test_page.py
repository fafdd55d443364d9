"""What every page has without doing anything for it: escaping, JSON, errors, headers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.applications import Starlette
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.local.valkey import free_port
from app.web.console import sign_in, static_files
from app.web.console.console import Console
from app.web.console.protection import HEADERS
from app.web.console.routes import ConsoleRoutes
from tests.web.console import probe
from tests.web.console.browser import ADDRESS, CONSOLE_USERS, PASSWORD, Browser, signed_in


def application(environment: dict[str, str], **more: str) -> Starlette:
    """The console with the probe for its only page."""
    settings = Settings.from_environment({**environment, "CONSOLE_USERS": CONSOLE_USERS, **more})
    console = Console.of(settings, now=lambda: 1_800_000_000.0)
    return Starlette(routes=[ConsoleRoutes(console, (sign_in, static_files, probe))])


@pytest.fixture
def client(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    with TestClient(application(environment), ADDRESS, follow_redirects=False) as client:
        yield client


@pytest.fixture
def browser(client: TestClient) -> Browser:
    return signed_in(client, "operator")


def test_who_is_not_signed_in_is_led_to_the_sign_in_page_and_back(client: TestClient) -> None:
    stranger = Browser(client)
    led = stranger.get("/console/probe/1?who=a%26b&limit=2")
    assert led.status_code == 303
    assert led.headers["location"].startswith("/console/sign-in?next=")
    form = stranger.get(led.headers["location"])
    assert form.status_code == 200
    assert 'value="/console/probe/1?who=a%26b&amp;limit=2"' in form.text
    back = stranger.post(
        "/console/sign-in",
        name="reader",
        password=PASSWORD,
        next="/console/probe/1?who=a%26b&limit=2",
    )
    assert (back.status_code, back.headers["location"]) == (
        303,
        "/console/probe/1?who=a%26b&limit=2",
    )


def test_a_stranger_is_not_told_which_pages_there_are(client: TestClient) -> None:
    stranger = Browser(client)
    for path in ("/console/probe/1", "/console/nowhere", "/console/probe/1/press"):
        assert stranger.get(path).status_code == 303, path


def test_json_is_refused_to_who_is_not_signed_in(client: TestClient) -> None:
    stranger = Browser(client)
    answer = stranger.get("/console/probe/1.json")
    assert answer.status_code == 401
    assert "sign in" in answer.json()["error"]["message"]


def test_what_a_page_shows_is_escaped(browser: Browser) -> None:
    answer = browser.get(f"/console/probe/{probe.PLANTED.replace('/', '')}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(&#39;PLANTED" in answer.text


def test_the_same_address_with_json_gives_the_data(browser: Browser) -> None:
    answer = browser.get("/console/probe/1.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"line": f"1 {probe.PLANTED}", "advice": "", "status": 200}


def test_a_name_that_ends_with_json_has_a_page_if_its_dot_is_encoded(browser: Browser) -> None:
    answer = browser.get("/console/probe/a%2Ejson")
    assert answer.headers["content-type"].startswith("text/html")
    assert "a.json" in answer.text.lower()


def test_a_page_says_who_looks_at_which_mode_and_when(browser: Browser) -> None:
    text = browser.get("/console/probe/1").text
    assert "operator <small>(operate)</small>" in text
    assert '<span class="mode test">test mode</span>' in text
    assert "account not known yet" in text
    assert '<time datetime="2027-01-15T08:00:00Z">2027-01-15 08:00:00 UTC</time>' in text


def test_an_address_too_long_to_come_back_to_is_not_passed_on(client: TestClient) -> None:
    led = Browser(client).get("/console/probe/1?who=" + "%C3%A9" * 5_000)
    assert led.status_code == 303
    assert led.headers["location"] == "/console/sign-in"
    form = Browser(client).get("/console/sign-in?next=/console/probe/1&" + "a&" * 30_000)
    assert 'value="/console/"' in form.text  # a stranger's query was not even read


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console", 303),
        ("/console/probe/1", 200),
        ("/console/probe/1.json", 200),
        ("/console/probe/nothing", 404),
        ("/console/probe/fault", 500),
        ("/console/nowhere", 404),
        ("/console/nowhere.json", 404),
        ("/console/probe/1/press", 405),
        ("/console/sign-in", 303),
    ],
)
def test_every_answer_is_protected_and_kept_by_no_cache(
    browser: Browser, path: str, status: int
) -> None:
    answer = browser.get(path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/console/probe/1", "/console/sign-in", "/console/nowhere"])
def test_no_page_has_a_script_a_style_or_a_handler_in_it(client: TestClient, path: str) -> None:
    for browser in (Browser(client), signed_in(client, "reader")):
        text = browser.get(path).text
        assert "<style" not in text
        assert " style=" not in text
        assert re.search(r"\son\w+=", text) is None
        assert text.count("<script") in (0, 1)


@pytest.mark.parametrize("name", ["style.css", "console.js", "icon.svg"])
def test_static_files_are_looked_at_again_and_not_sent_again(client: TestClient, name: str) -> None:
    stranger = Browser(client)
    first = stranger.get(f"/console/static/{name}")
    assert first.status_code == 200
    assert first.headers["cache-control"] == "max-age=0, must-revalidate"
    again = stranger.get(f"/console/static/{name}", if_none_match=f"W/{first.headers['etag']}")
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def test_page_style_and_script_together_are_small(browser: Browser) -> None:
    files = ["/console/probe/1", "/console/static/style.css", "/console/static/console.js"]
    assert sum(len(browser.get(path).content) for path in files) < 20_000
    script = browser.get("/console/static/console.js").text
    assert len(script.splitlines()) <= 150


def test_a_fault_of_ours_is_a_page_that_tells_nothing_and_a_line_in_the_log(
    browser: Browser,
) -> None:
    with capture_logs() as lines:
        answer = browser.get("/console/probe/fault")
    assert answer.status_code == 500
    assert "a fault of ours" in answer.text
    assert "PLANTED" not in answer.text + str(lines)
    (line,) = (line for line in lines if line["event"] == "page failed")
    assert (line["call"], line["error_class"]) == ("GET /console/probe/{id}", "ZeroDivisionError")


def test_what_there_is_not_is_404_in_words(browser: Browser) -> None:
    assert "There is no such thing." in browser.get("/console/probe/nothing").text
    message = browser.get("/console/probe/nothing.json").json()["error"]["message"]
    assert message == "there is no such thing"


def test_while_redis_is_away_a_page_says_so_and_what_to_do(environment: dict[str, str]) -> None:
    port = free_port()
    app = application(environment, REDIS_URL=f"redis://127.0.0.1:{port}")
    with TestClient(app, ADDRESS, follow_redirects=False) as client:
        answer = signed_in(client, "reader").get("/console/probe/redis")
    assert answer.status_code == 503
    assert "Redis cannot be used" in answer.text
    assert f"127.0.0.1:{port}" in answer.text
    assert "What to do:" in answer.text
    assert answer.headers["retry-after"]


def test_while_the_ledger_is_away_a_page_says_so_and_what_to_do(
    environment: dict[str, str], redis: Redis
) -> None:
    away = f"postgresql://user@127.0.0.1:{free_port()}/identity"
    app = application(environment, DATABASE_URL=away)
    with TestClient(app, ADDRESS, follow_redirects=False) as client:
        browser = signed_in(client, "reader")  # though it cannot be in the audit
        answer = browser.get("/console/probe/ledger")
        assert browser.get("/console/probe/1").status_code == 200
    assert answer.status_code == 503
    assert "The ledger cannot be used" in answer.text
    assert "PostgreSQL at 127.0.0.1" in answer.text
    assert "start it, or correct host and port in DATABASE_URL" in answer.text


def test_a_statement_that_takes_too_long_is_cut_off(browser: Browser) -> None:
    answer = browser.get("/console/probe/slow")
    assert answer.status_code == 503
    assert "took too long over a statement" in answer.text
