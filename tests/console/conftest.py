"""A console to look at, filled once for each test process, and a browser to look with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from app.local.valkey import Valkey
from tests.console import browser, stock
from tests.console.browser import Visitor
from tests.console.site import REDACTOR, Site, opened
from tests.support.npm import install

AXE = Path(__file__).with_name("axe")


@pytest.fixture(scope="session")
def site(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product, filled, for all tests of this process: they add to it, and take nothing away.

    Other tests empty the Valkey that they share, so it has one of its own.
    """
    folder = tmp_path_factory.mktemp("console")
    database = shutil.copy(migrated, folder / "ledger.db")
    with (
        Valkey(folder / "valkey", fsync="no") as valkey,
        opened(folder, valkey.url, f"sqlite:///{database}") as site,
    ):
        stock.fill(site)
        yield site
        log = site.web.log.read_text()
    faults = [line for line in log.splitlines() if '"level": "error"' in line or "Trace" in line]
    assert faults == []


@pytest.fixture(scope="session")
def signed_in(site: Site) -> Iterator[requests.Session]:
    """Somebody who may see all that there is to see, without a browser."""
    with site.signed_in(REDACTOR) as http:
        yield http


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of one file.

    Playwright runs an event loop in this thread while it is open: no other test could run one.
    """
    with browser.started() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def visitor(chromium: Browser, site: Site) -> Visitor:
    """Who opens pages of the console."""
    return Visitor(chromium, site)


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, as its lock pins it."""
    folder = install(AXE, tmp_path_factory.mktemp("axe"))
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")
