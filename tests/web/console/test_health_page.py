"""What the doctor says, on a page that only a button brings up to date."""

from __future__ import annotations

import os

import pytest

from app.doctor.result import Finding
from tests.web.console.browser import Browser

FOUND = [
    Finding("redis", "ok", "Redis 8"),
    Finding("workers", "wrong", "none runs for <events>", "Start them."),
]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was examined, by a doctor that is quick about it."""
    seen: list[object] = []

    def examine(variables: object, **_: object) -> list[Finding]:
        seen.append(variables)
        return FOUND

    monkeypatch.setattr("app.doctor.kept.examine", examine)
    return seen


def test_to_look_examines_nothing(reader: Browser, examined: list[object]) -> None:
    page = reader.get("/console/health").text
    assert "Not examined yet" in page
    assert "Examine now" not in page
    assert reader.get("/console/health.json").json() == {"state": "unknown", "checks": []}
    assert examined == []


def test_who_operates_has_it_examined_for_all(
    operator: Browser, reader: Browser, examined: list[object]
) -> None:
    answer = operator.post("/console/health/examine")
    assert answer.headers["location"] == "/console/health"
    page = reader.get("/console/health").text
    assert "Something is wrong" in page
    assert "none runs for &lt;events&gt;" in page
    assert "Start them." in page
    assert examined == [os.environ]


def test_many_who_press_at_once_have_it_examined_once(
    operator: Browser, examined: list[object]
) -> None:
    for _ in range(3):
        operator.post("/console/health/examine")
    assert len(examined) == 1


def test_who_may_only_read_examines_nothing(reader: Browser, examined: list[object]) -> None:
    assert reader.post("/console/health/examine").status_code == 403
    assert examined == []
