"""The README is a door, not the house: what it is, how to try it, and where to read on."""

from __future__ import annotations

from tests.docs.pages import DOCS, ROOT, links

README = ROOT / "README.md"
# Two screens.
MAX_LINES = 90


def test_it_fits_two_screens() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= MAX_LINES


def test_it_leads_to_the_pages() -> None:
    led_to = {(ROOT / link).resolve() for link in links(README) if not link.startswith("http")}
    assert DOCS / "index.md" in led_to
    for folder in ("how-to", "reference", "explanation"):
        assert [page for page in led_to if page.parent == DOCS / folder], folder
