"""Pages that follow an operation: fifty of them cost the ledger the reads of one."""

from __future__ import annotations

import pytest

from app.ledger.operations import Operation, Operations
from app.web.console import operations as module
from app.web.console.console import Console
from app.web.console.operations import Followed
from tests.operations.bulk.starting import started
from tests.support.deployment import Deployment, letter
from tests.web.console.browser import Browser


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the ledger was asked for."""
    asked: list[str] = []
    get = Operations.get

    def counted(self: Operations, id: str) -> Operation | None:
        asked.append(id)
        return get(self, id)

    monkeypatch.setattr(Operations, "get", counted)
    return asked


def test_fifty_pages_that_follow_an_operation_cost_the_reads_of_one(
    deployment: Deployment, reader: Browser, read: list[str]
) -> None:
    deployment.bury(letter("evt_1"))
    id = started(deployment).id
    pages = [
        reader.get(f"/console/operations/{id}", sec_fetch_dest="empty").text for _ in range(50)
    ]
    assert all("running" in page for page in pages)
    assert read == [id]


def test_who_has_just_come_or_pressed_a_button_sees_how_it_is_now(
    deployment: Deployment, reader: Browser, console: Console
) -> None:
    deployment.bury(letter("evt_1"))
    id = started(deployment).id
    path = f"/console/operations/{id}"
    assert "running" in reader.get(path, sec_fetch_dest="empty").text
    console.stores.operations.claim("a", 1)
    console.stores.operations.change(id, "a", 2, state="done", done=1, ended_at=2)
    assert "data-again" not in reader.get(path, sec_fetch_dest="document").text
    assert reader.get(f"{path}.json").json()["state"] == "done"


def test_what_nobody_follows_any_more_is_not_kept(
    deployment: Deployment, console: Console, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FOLLOWED", 2)
    followed = Followed(console.stores.operations)
    for id in ("op_1", "op_2", "op_1", "op_3", "op_1", "op_2"):
        assert followed.get(id) is None
    assert read == ["op_1", "op_2", "op_3", "op_2"]
