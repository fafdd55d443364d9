"""With JavaScript on, the first screen follows what happens without being loaded again."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.console.browser import Visitor, complaints
from tests.console.site import READER, Site
from tests.console.stock import Lives

pytestmark = pytest.mark.slow
WITHIN = 15_000  # milliseconds


def test_a_change_of_a_standing_appears_by_itself(site: Site, visitor: Visitor) -> None:
    with visitor.page(READER) as page, site.workers():
        said = complaints(page)
        page.goto("/console/")
        expect(page.get_by_role("main")).not_to_contain_text("just-now")
        page.evaluate("window.loaded_once = true")
        site.deliver(*Lives(time.time()).ended("just-now", 120, "verified"))
        expect(page.get_by_role("main")).to_contain_text("just-now", timeout=WITHIN)
        assert page.evaluate("window.loaded_once") is True
        assert said == []


def test_the_verdict_is_also_in_the_title(visitor: Visitor) -> None:
    with visitor.page(READER) as page:
        page.goto("/console/")
        verdict = page.get_by_role("status").first.inner_text()
        assert verdict
        assert verdict.split(".")[0] in page.title()
