"""A real browser: Debian's Chromium, driven by Playwright, with what it complains of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.console.site import PASSWORD, Site

# Milliseconds. Two busy cores take a second for what takes a moment otherwise.
TIMEOUT = 20_000


class Look(NamedTuple):
    """How a page is looked at."""

    theme: Any  # "light" or "dark"
    width: int

    @property
    def name(self) -> str:
        """For the name of a file or a test."""
        return f"{self.theme}-{self.width}"


LOOKS = tuple(Look(theme, width) for theme in ("light", "dark") for width in (320, 1280))
HEIGHT = 900


def chromium_path() -> str:
    """Where Chromium is; without it the test is skipped, and fails in CI."""
    if path := shutil.which("chromium"):
        return path
    if os.environ.get("CI") == "true":
        pytest.fail("chromium is not installed: apt-get install --no-install-recommends chromium")
    pytest.skip("chromium is not installed")


@contextmanager
def started() -> Iterator[Browser]:
    """A browser without a window."""
    path = chromium_path()
    # Its sandbox takes rights that root gives up, and a container has not.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*arguments, "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


def set_look(page: Page, look: Look) -> None:
    """Show the page that is open by this theme and width."""
    page.emulate_media(color_scheme=look.theme, reduced_motion="reduce")
    page.set_viewport_size({"width": look.width, "height": HEIGHT})


def sign_in(page: Page, site: Site, name: str, password: str = PASSWORD) -> None:
    """Type a name and a password, and wait for the answer."""
    page.goto(site.url + "/console/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()


class Visitor:
    """One browser, with the cookies of those who have signed in once."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self._browser = browser
        self._site = site
        self._signed_in: dict[str, Any] = {}

    @contextmanager
    def page(self, name: str | None, look: Look = LOOKS[1], **options: Any) -> Iterator[Page]:
        """A tab of somebody who is signed in; None: of somebody who is not."""
        if name is not None:
            options["storage_state"] = self._cookies(name)
        with self._context(**options) as context:
            page = context.new_page()
            set_look(page, look)
            yield page

    def _cookies(self, name: str) -> Any:
        if name not in self._signed_in:
            with self._context() as context:
                sign_in(context.new_page(), self._site, name)
                self._signed_in[name] = context.storage_state()
        return self._signed_in[name]

    @contextmanager
    def _context(self, **options: Any) -> Iterator[BrowserContext]:
        context = self._browser.new_context(base_url=self._site.url, **options)
        context.set_default_timeout(TIMEOUT)
        try:
            yield context
        finally:
            context.close()


def complaints(page: Page) -> list[str]:
    """What the browser will say of the page from now on: errors, warnings, and failed requests."""
    found: list[str] = []
    page.on(
        "console",
        lambda said: found.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("requestfailed", lambda request: found.append(f"{request.url} {request.failure}"))
    return found
