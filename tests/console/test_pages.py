"""Each page in a browser: it fits a telephone, is small, says what it is, and needs no mouse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import requests
from playwright.sync_api import Page

from tests.console.browser import Look, Visitor, complaints
from tests.console.looking import too_wide, unreached_by_tab
from tests.console.pages import ADDRESSES, name_of
from tests.console.site import READER, REDACTOR, WITHIN, Site

pytestmark = pytest.mark.slow
MOST_BYTES = 60_000  # page, style and script together
TELEPHONE = Look("light", 320)


class Shown(NamedTuple):
    """A page that is open, and what the browser had to say of it."""

    page: Page
    complaints: list[str]
    status: int


@pytest.fixture(scope="module", params=ADDRESSES, ids=name_of)
def shown(request: Any, site: Site, visitor: Visitor) -> Iterator[Shown]:
    """Each page in turn, for all tests that ask for one, to somebody who sees every button."""
    with visitor.page(REDACTOR, TELEPHONE) as page:
        said = complaints(page)
        answer = page.goto(request.param.format(**site.ids))
        assert answer is not None
        yield Shown(page, said, answer.status)


def test_the_browser_complains_of_nothing(shown: Shown) -> None:
    assert (shown.status, shown.complaints) == (200, [])


def test_a_page_does_not_scroll_sideways_on_a_telephone(shown: Shown) -> None:
    assert too_wide(shown.page) == []


def test_a_page_says_what_it_is_once(shown: Shown) -> None:
    assert shown.page.title()
    assert shown.page.locator("h1").count() == 1
    assert shown.page.locator("main").count() == 1


def test_a_page_says_the_mode(shown: Shown) -> None:
    assert shown.page.get_by_text("test mode").first.is_visible()


def test_the_keyboard_comes_to_every_control(shown: Shown) -> None:
    assert unreached_by_tab(shown.page) == []


@pytest.mark.parametrize("address", ADDRESSES, ids=name_of)
def test_a_page_with_its_style_and_script_is_small(
    site: Site, signed_in: requests.Session, address: str
) -> None:
    parts = (address.format(**site.ids), "/console/static/style.css", "/console/static/console.js")
    answers = {part: signed_in.get(site.url + part, timeout=WITHIN) for part in parts}
    sizes = {part: len(answer.content) for part, answer in answers.items()}
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_a_slash_goes_to_the_box_that_finds(visitor: Visitor) -> None:
    with visitor.page(READER) as page:
        page.goto("/console/")
        page.keyboard.press("/")
        page.keyboard.type("lena")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/references/lena**")
