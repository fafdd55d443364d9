"""A console on real Redis and SQLite, and a browser for a person of each role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.web.console.console import Console
from app.web.console.routes import ConsoleRoutes
from tests.web.console.browser import Browser, opened_console, signed_in


@pytest.fixture
def web_client(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    """The web application with its console, an empty Redis and a ledger of the test's own."""
    with opened_console(environment) as client:
        yield client


@pytest.fixture
def console_routes(web_client: TestClient) -> ConsoleRoutes:
    """All routes of the console."""
    assert isinstance(web_client.app, Starlette)
    (found,) = (route for route in web_client.app.routes if isinstance(route, ConsoleRoutes))
    return found


@pytest.fixture
def console(console_routes: ConsoleRoutes) -> Console:
    """What its pages work with: to bring things into the stores, and to look at them."""
    return console_routes.console


@pytest.fixture
def stranger(web_client: TestClient) -> Browser:
    """Somebody who is not signed in."""
    return Browser(web_client)


@pytest.fixture
def reader(web_client: TestClient) -> Browser:
    """Somebody who may only look."""
    return signed_in(web_client, "reader")


@pytest.fixture
def operator(web_client: TestClient) -> Browser:
    """Somebody who may replay, resume and cancel."""
    return signed_in(web_client, "operator")


@pytest.fixture
def redactor(web_client: TestClient) -> Browser:
    """Somebody who may do all."""
    return signed_in(web_client, "redactor")
