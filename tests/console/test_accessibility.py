"""axe-core finds nothing on any page, in both themes, on a telephone and on a desk."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.console.browser import LOOKS, Visitor, set_look
from tests.console.looking import violations
from tests.console.pages import ADDRESSES, name_of
from tests.console.site import REDACTOR, Site

pytestmark = pytest.mark.slow


def found_in_every_look(page: Page, axe: str) -> dict[str, list[str]]:
    """What axe finds, by theme and width, where it finds something."""
    found = {}
    for look in LOOKS:
        set_look(page, look)
        found[look.name] = violations(page, axe)
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize("address", ADDRESSES, ids=name_of)
def test_axe_finds_nothing_on_a_page(site: Site, visitor: Visitor, axe: str, address: str) -> None:
    with visitor.page(REDACTOR) as page:
        page.goto(address.format(**site.ids))
        assert found_in_every_look(page, axe) == {}


def test_axe_finds_nothing_where_one_signs_in(visitor: Visitor, axe: str) -> None:
    with visitor.page(None) as page:
        page.goto("/console/sign-in")
        assert found_in_every_look(page, axe) == {}


def test_axe_finds_what_is_wrong(visitor: Visitor, axe: str) -> None:
    with visitor.page(None) as page:
        page.set_content("<p style='color: #ccc; background: #fff'>pale</p><img src='x'>")
        assert any("color-contrast" in line for line in violations(page, axe))
        assert any("image-alt" in line for line in violations(page, axe))
