"""What a page is judged by, read from the page itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from playwright.sync_api import Page

RUN_AXE = "() => axe.run(document, {resultTypes: ['violations']})"
OVERFLOW = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = (one) => one.getBoundingClientRect().right > width + 1;
    return [...document.body.querySelectorAll("*")]
        .filter((one) => wide(one) && !wide(one.parentElement))
        .map((one) => one.outerHTML.slice(0, 120));
}"""
# Gives each control a number, and notes which of them the focus comes to.
WATCH_FOCUS = """() => {
    window.reached = new Set();
    const groups = new Set();
    const controls = [...document.querySelectorAll(
        "a[href], button, input, select, textarea, summary, [tabindex='0']")]
        .filter((one) => one.checkVisibility({visibilityProperty: true}))
        .filter((one) => !one.disabled && one.type !== "hidden")
        .filter((one) => one.type !== "radio" || one.checked || !groups.has(one.name))
        .filter((one) => one.type !== "radio" || groups.add(one.name));
    window.controls = controls;
    document.addEventListener("focusin", (event) => window.reached.add(event.target));
    return controls.length;
}"""
UNREACHED = """() => window.controls.filter((one) => one.isConnected && !window.reached.has(one))
    .map((one) => one.outerHTML.slice(0, 120))"""


def violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds, of any impact, a line each."""
    page.evaluate(axe)
    found: Any = page.evaluate(RUN_AXE)
    return list(_told(found["violations"]))


def _told(found: Iterable[Any]) -> Iterable[str]:
    for rule in found:
        for node in rule["nodes"]:
            summary = " ".join(node["failureSummary"].split())
            yield f"{rule['id']} ({rule['impact']}): {node['html'][:160]}: {summary}"


def too_wide(page: Page) -> list[str]:
    """The outermost elements that make the page scroll sideways; none if it does not."""
    return list(page.evaluate(OVERFLOW))


def unreached_by_tab(page: Page) -> list[str]:
    """The controls that the Tab key does not come to."""
    for _ in range(int(page.evaluate(WATCH_FOCUS)) + 10):
        page.keyboard.press("Tab")
    return list(page.evaluate(UNREACHED))
