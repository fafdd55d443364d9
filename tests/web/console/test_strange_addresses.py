"""Whatever stands in an address, no page has a fault: it says what it cannot read."""

from __future__ import annotations

import re

import pytest

from app.web.console.routes import ConsoleRoutes
from tests.web.console.browser import Browser

IDS = ("%00", "%ff", "..%2Fx", "a%2Fb", "%0a", "x.json", "x%2Ejson", "%ed%a0%80", "9" * 3_000)
STRANGE = ("%00", "%ff", "%0d%0aSet-Cookie:a=1", "9" * 18, "1e400~x", "-1e308~%00", "%C2%B2", "-1")
NAMES = (
    *("account", "action", "after", "before", "done", "id", "kind", "livemode", "older_than"),
    *("purpose", "q", "queue", "reason", "reference", "session", "state", "tried", "who"),
)


def pages(routes: ConsoleRoutes) -> list[str]:
    """The paths of all pages and of their JSON; the stream has no end."""
    found = [route.path for route in routes.routes if "GET" in (route.methods or ())]
    return [path for path in found if path != "/console/live" and "/static/" not in path]


def with_id(path: str, id: str) -> str:
    return re.sub(r"\{[^}]*\}", lambda _: id, path)


def test_no_id_is_a_fault(console_routes: ConsoleRoutes, operator: Browser) -> None:
    asked = [with_id(path, id) for path in pages(console_routes) if "{" in path for id in IDS]
    assert [path for path in asked if operator.get(path).status_code >= 500] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_parameter_is_a_fault(
    console_routes: ConsoleRoutes, operator: Browser, name: str
) -> None:
    for path in pages(console_routes):
        for text in STRANGE:
            answer = operator.get(f"{with_id(path, 'vs_1')}?queue=events&{name}={text}")
            assert answer.status_code < 500, (path, text)
            assert "set-cookie" not in answer.headers
