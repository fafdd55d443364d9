"""Signing in at a provider, in a real browser and with a process of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.local.valkey import Valkey, free_port
from tests.console.browser import TIMEOUT, complaints
from tests.support.provider import CLIENT, SECRET, StandIn, standing_in
from tests.web.deliveries import SECRET as SIGNING_SECRET
from tests.web.processes import Web, running

pytestmark = pytest.mark.slow


@pytest.fixture
def provider() -> Iterator[StandIn]:
    """A provider of another site than the console: Lax cookies are sent or not by that."""
    with standing_in() as stand_in:
        stand_in.url = stand_in.url.replace("127.0.0.1", "localhost")
        yield stand_in


@pytest.fixture
def web(valkey: Valkey, database_url: str, tmp_path: Path, provider: StandIn) -> Iterator[Web]:
    """A web process whose console has that provider."""
    port = free_port()
    settings = {
        "STRIPE_WEBHOOK_SECRET": SIGNING_SECRET,
        "REDIS_URL": valkey.url,
        "DURABILITY": "memory",
        "DATABASE_URL": database_url,
        "CONSOLE_OIDC_ISSUER": provider.url,
        "CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "CONSOLE_OIDC_CLIENT_SECRET": SECRET,
        "CONSOLE_OIDC_ROLES": "anna@example.com:operate",
        "PORT": str(port),
        "CONSOLE_URL": f"http://127.0.0.1:{port}",
        "CONSOLE_INSECURE_COOKIE": "1",
    }
    with running(tmp_path, **settings) as process:
        yield process


@contextmanager
def tab(chromium: Browser, web: Web, *, script: bool) -> Iterator[Page]:
    with chromium.new_context(
        base_url=f"http://127.0.0.1:{web.port}", java_script_enabled=script
    ) as context:
        context.set_default_timeout(TIMEOUT)
        yield context.new_page()


@pytest.mark.parametrize("script", [True, False])
def test_somebody_signs_in_on_the_providers_page_and_out_again(
    chromium: Browser, web: Web, provider: StandIn, script: bool
) -> None:
    with tab(chromium, web, script=script) as page:
        said = complaints(page)
        page.goto("/console/audit")
        page.get_by_role("link", name="Sign in with localhost").click()
        expect(page).to_have_url(re.compile("^http://localhost"))
        page.get_by_role("link", name="Go on as Anna").click()
        expect(page).to_have_url(re.compile(r"127\.0\.0\.1:\d+/console/audit$"))
        expect(page.get_by_text("anna@example.com (operate)")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.goto("/console/audit")
        expect(page).to_have_url(re.compile("/console/sign-in"))
    assert [line for line in said if "Content Security Policy" in line] == []
    assert_nothing_secret(web, provider)


def test_whoever_has_no_role_is_told_so_and_may_try_again(
    chromium: Browser, web: Web, provider: StandIn
) -> None:
    provider.person["email"] = "eve@example.com"
    with tab(chromium, web, script=False) as page:
        page.goto("/console/sign-in")
        page.get_by_role("link", name="Sign in with localhost").click()
        page.get_by_role("link", name="Go on as Anna").click()
        expect(page.get_by_role("alert")).to_contain_text("gives a role here")
        page.get_by_role("link", name="Sign in").click()
        expect(page.get_by_role("link", name="Sign in with localhost")).to_be_visible()
    assert "no_role" in web.log.read_text()
    assert_nothing_secret(web, provider)


def assert_nothing_secret(web: Web, provider: StandIn) -> None:
    """Neither the client's secret nor a code or token is in the log, nor any request's query."""
    log = web.log.read_text()
    assert "sign_in" in log
    assert len(provider.seen) >= 3
    assert not any(given in log for given in (SECRET, "PLANTED", "code=", *provider.seen))
