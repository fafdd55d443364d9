"""The pages of letters while a store is away: what needs the other one only is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.valkey import free_port
from tests.support.deployment import Deployment, letter
from tests.web.console.browser import Browser, opened_console, signed_in


@pytest.fixture
def without_ledger(
    environment: dict[str, str], deployment: Deployment, tmp_path: Path
) -> Iterator[Browser]:
    """An operator's browser; the ledger is away, and Redis holds a letter and a deferred event."""
    deployment.bury(letter("evt_1"))
    deployment.defer(letter("evt_2"))
    away = {**environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'none' / 'ledger.db'}"}
    with opened_console(away) as client:
        yield signed_in(client, "operator")


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("/console/dead-letters", "evt_1"),
        ("/console/dead-letters/evt_1", "it broke"),
        ("/console/deferred", "evt_2"),
    ],
)
def test_what_is_in_redis_is_shown_while_the_ledger_is_away(
    without_ledger: Browser, page: str, shown: str
) -> None:
    answer = without_ledger.get(page)
    assert answer.status_code == 200
    assert shown in answer.text


@pytest.mark.parametrize("page", ["preview?kind=replay", "effects", "operations", "audit"])
def test_what_the_ledger_has_is_not_shown_and_it_is_said_why(
    without_ledger: Browser, page: str
) -> None:
    answer = without_ledger.get(f"/console/{page}")
    assert answer.status_code == 503
    assert "The ledger cannot be used" in answer.text


def test_nothing_is_tried_now_while_the_ledger_is_away(
    without_ledger: Browser, deployment: Deployment
) -> None:
    answer = without_ledger.post("/console/deferred/try-now", queue="events", all="1")
    assert answer.status_code == 503
    assert deployment.stores.deferred("events").find("evt_2") is not None


@pytest.mark.parametrize("page", ["dead-letters", "dead-letters/evt_1", "deferred"])
def test_without_redis_it_is_said_what_is_away(environment: dict[str, str], page: str) -> None:
    away = {**environment, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with opened_console(away) as client:
        answer = signed_in(client, "reader").get(f"/console/{page}")
    assert answer.status_code == 503
    assert "Redis cannot be used" in answer.text
