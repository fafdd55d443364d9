"""The console is a guest in the web process: deliveries do not notice how busy it is."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.console import sign_in, streams
from app.web.console.answers import MAX_WAITING, in_thread
from app.web.console.console import READING, Console
from app.web.console.routes import ConsoleRoutes
from app.web.console.views import Busy
from app.web.main import create_app
from tests.web.console import probe
from tests.web.console.browser import ADDRESS, CONSOLE_USERS, signed_in
from tests.web.deliveries import URL, event, signed


def with_probe(environment: dict[str, str]) -> Starlette:
    """The whole web application, whose console has the probe's pages."""
    settings = Settings.from_environment({**environment, "CONSOLE_USERS": CONSOLE_USERS})
    app = create_app(settings)
    console = next(each for each in app.routes if isinstance(each, ConsoleRoutes)).console
    app.router.routes.insert(0, ConsoleRoutes(console, (sign_in, probe)))
    return app


@pytest.mark.slow
def test_while_every_page_hangs_a_delivery_is_taken_at_once(
    environment: dict[str, str], redis: Redis
) -> None:
    with (
        TestClient(with_probe(environment), ADDRESS, follow_redirects=False) as client,
        ThreadPoolExecutor(2 * READING) as viewers,
    ):
        browser = signed_in(client, "reader")
        pages = [viewers.submit(browser.get, "/console/probe/slow") for _ in range(2 * READING)]
        time.sleep(0.5)
        begun = time.monotonic()
        body = event()
        answer = client.post(URL, content=body, headers=signed(body))
        took = time.monotonic() - begun
        assert answer.json() == {"outcome": "enqueued"}
        assert not any(page.done() for page in pages)
        assert {page.result().status_code for page in pages} == {503}
    assert took < 0.5


async def crowd(console: Console, size: int) -> list[object]:
    """What so many requests get that come one after another, while each takes a while."""
    asked = []
    for _ in range(size):
        work = in_thread(console.limiter, lambda: time.sleep(0.5))
        asked.append(asyncio.create_task(work))
        await asyncio.sleep(0.001)
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.slow
def test_more_requests_than_a_person_would_wait_for_are_told_so() -> None:
    console = Console.of(Settings.from_environment({}), now=time.time)
    found = asyncio.run(crowd(console, READING + MAX_WAITING + 3))
    console.stores.close()
    assert [type(each) for each in found if each is not None] == [Busy] * 3


def test_there_are_only_so_many_streams(
    environment: dict[str, str], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 0)
    with TestClient(with_probe(environment), ADDRESS, follow_redirects=False) as client:
        answer = signed_in(client, "reader").get("/console/probe-live")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_one_person_does_not_take_the_streams_of_all(
    environment: dict[str, str], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LASTS", 0.1)
    monkeypatch.setattr(streams, "OF_A_PERSON", 0)
    with TestClient(with_probe(environment), ADDRESS, follow_redirects=False) as client:
        browser = signed_in(client, "reader")
        assert browser.get("/console/probe-live").status_code == 503
        monkeypatch.setattr(streams, "OF_A_PERSON", 1)
        for _ in range(2):  # one after the other
            assert browser.get("/console/probe-live").status_code == 200


def test_a_stream_ends_after_its_time_and_closes_what_feeds_it(
    environment: dict[str, str], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LASTS", 0.1)
    with TestClient(with_probe(environment), ADDRESS, follow_redirects=False) as client:
        answer = signed_in(client, "reader").get("/console/probe-live")
        assert probe.closed.is_set()
    assert answer.text == "data: reader\n\n"
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"


def test_a_stream_is_for_who_is_signed_in(environment: dict[str, str], redis: Redis) -> None:
    with TestClient(with_probe(environment), ADDRESS, follow_redirects=False) as client:
        assert client.get("/console/probe-live").status_code == 401
