"""Every address of the console that changes something: its role, its origin, its audit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.web.console.console import Console
from app.web.console.page import ActionRoute
from app.web.console.people import Role
from app.web.console.routes import ConsoleRoutes
from tests.web.console.browser import PEOPLE, Browser, signed_in

# What has no person yet, or none any more: tested in test_sign_in.py.
SESSIONS = {"/console/sign-in", "/console/sign-out"}


def changing(routes: ConsoleRoutes) -> list[Any]:
    return [route for route in routes.routes if set(route.methods or ()) - {"GET", "HEAD"}]


def actions(routes: ConsoleRoutes) -> list[ActionRoute]:
    return [route for route in changing(routes) if isinstance(route, ActionRoute)]


def address_of(route: ActionRoute) -> str:
    return re.sub(r"\{[^}]*\}", "x1", route.path)


def test_all_that_changes_something_is_an_action_that_is_posted(
    console_routes: ConsoleRoutes,
) -> None:
    others = [each for each in changing(console_routes) if not isinstance(each, ActionRoute)]
    assert {route.path for route in others} == SESSIONS
    assert all(route.methods == {"POST"} for route in changing(console_routes))
    names = [route.action for route in actions(console_routes)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_an_action_is_refused_to_strangers(
    console_routes: ConsoleRoutes, stranger: Browser
) -> None:
    for route in actions(console_routes):
        assert stranger.post(address_of(route)).status_code == 401, route.path


def test_an_action_is_refused_to_lower_roles_and_that_is_in_the_audit(
    console_routes: ConsoleRoutes, console: Console, web_client: TestClient
) -> None:
    browsers = {Role.named(role): signed_in(web_client, name) for name, role in PEOPLE.items()}
    for route in actions(console_routes):
        for role, browser in browsers.items():
            if role < route.role:
                assert browser.post(address_of(route)).status_code == 403, route.path
                (entry,) = console.stores.audit.page(None, 1)
                assert (entry.action, entry.result) == (route.action, "refused")
        assert route.role > Role.READ, route.path


def test_an_action_is_refused_to_another_sites_page_and_that_is_in_the_audit(
    console_routes: ConsoleRoutes, console: Console, redactor: Browser
) -> None:
    redactor.headers = {"Sec-Fetch-Site": "cross-site"}
    for route in actions(console_routes):
        assert redactor.post(address_of(route)).status_code == 403, route.path
        (entry,) = console.stores.audit.page(None, 1)
        assert (entry.action, entry.result) == (route.action, "refused")


def test_without_people_there_is_no_console(client: TestClient) -> None:
    assert isinstance(client.app, Starlette)
    assert not any(isinstance(route, ConsoleRoutes) for route in client.app.routes)
    assert client.get("/console/").status_code == 404


LIVE = '<span class="mode live">live mode</span>'


@pytest.mark.parametrize("path", ["references/lena", "sessions/vs_1"])
def test_of_one_user_the_mode_and_account_at_the_top_are_those_of_the_address(
    reader: Browser, path: str
) -> None:
    text = reader.get(f"/console/{path}?livemode=true&account=acct_1").text
    assert LIVE in text
    assert '<span class="account">acct_1</span>' in text
    assert "Call 0800" not in reader.get(f"/console/{path}?account=Call+0800+1234").text


@pytest.mark.parametrize("path", ["", "dead-letters", "preview", "deferred", "find", "health"])
def test_no_address_has_any_other_page_say_that_it_is_of_another_mode(
    reader: Browser, path: str
) -> None:
    text = reader.get(f"/console/{path}?livemode=true&account=acct_1").text
    assert LIVE not in text
    assert '<span class="account">acct_1</span>' not in text


def test_every_page_in_the_navigation_is_there(
    console_routes: ConsoleRoutes, reader: Browser
) -> None:
    for address, _ in console_routes.console.templates.navigation:
        assert reader.get(address).status_code == 200, address
