"""Operations as rows of the ledger: added, claimed by one at a time, paged, forgotten, pruned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from app.domain.durations import DAY
from app.domain.standing import ReferenceKey
from app.ledger.forgetting import forget_person
from app.ledger.operations import LEASE, Operation, Operations
from app.ledger.retention import prune

NOW = 1_000


def operation(number: int = 1, **fields: Any) -> Operation:
    """A replay of five letters, begun `number` seconds after the first of all."""
    usual = Operation(
        id=f"op_{number:08x}ab",
        kind="replay",
        queue="events",
        selection={"reason": "timed_out"},
        pinned="1_2.0_5_abc",
        reason="the ledger was away",
        rate=None,
        who="anna",
        via="cli",
        total=5,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(usual, **fields)


@pytest.fixture
def operations(engine: Engine) -> Operations:
    """No operations."""
    return Operations(engine)


def test_an_operation_is_read_as_it_was_written(operations: Operations) -> None:
    written = operation(rate=0.5, position=-1764409999.123456, chunk_size=3, chunk_end=-1.5)
    operations.add(written)
    assert operations.get(written.id) == written
    assert operations.get("op_9") is None


def test_pages_go_from_the_newest_to_the_oldest(operations: Operations) -> None:
    for number in (2, 1, 300, 4):
        operations.add(operation(number))
    newest = operations.page(limit=3)
    assert [one.id for one in newest] == ["op_0000012cab", "op_00000004ab", "op_00000002ab"]
    assert [one.id for one in operations.page(newest[-1].id, 3)] == ["op_00000001ab"]
    assert operations.page("op_00000001ab", 3) == []


def test_one_process_at_a_time_has_an_operation(operations: Operations) -> None:
    operations.add(operation())
    claimed = operations.claim("a", NOW)
    assert claimed is not None
    assert claimed.id == operation().id
    assert operations.claim("b", NOW) is None
    assert operations.claim("b", NOW + LEASE) is None
    assert operations.claim("b", NOW + LEASE + 1) is not None


def test_a_process_whose_lease_was_taken_changes_nothing(operations: Operations) -> None:
    operations.add(operation())
    operations.claim("a", NOW)
    operations.claim("b", NOW + LEASE + 1)
    assert operations.change(operation().id, "a", NOW, done=3) is None
    assert operations.change(operation().id, "b", NOW, done=2) == "running"
    found = operations.get(operation().id)
    assert found is not None
    assert found.done == 2


def test_a_sign_of_life_prolongs_the_lease(operations: Operations) -> None:
    operations.add(operation())
    operations.claim("a", NOW)
    operations.change(operation().id, "a", NOW + LEASE)
    assert operations.claim("b", NOW + 2 * LEASE) is None


def test_the_one_that_has_waited_for_longest_is_claimed_first(operations: Operations) -> None:
    operations.add(operation(1))
    first = operations.claim("a", NOW)
    operations.add(operation(2))
    operations.change(operation(1).id, "a", NOW, lease_until=5)
    second = operations.claim("b", NOW)
    assert first is not None
    assert second is not None
    assert (first.id, second.id) == (operation(1).id, operation(2).id)


def test_whoever_carries_it_out_learns_that_it_is_to_stop(operations: Operations) -> None:
    operations.add(operation())
    operations.claim("a", NOW)
    stopping = operations.ask_to_stop(operation().id, NOW + 1)
    assert stopping is not None
    assert (stopping.state, stopping.updated_at) == ("stopping", NOW + 1)
    assert operations.change(operation().id, "a", NOW) == "stopping"


@pytest.mark.parametrize("claimed", [False, True])
def test_one_that_nobody_carries_out_is_stopped_at_once(
    operations: Operations, claimed: bool
) -> None:
    operations.add(operation())
    if claimed:
        operations.claim("a", NOW)
        operations.change(operation().id, "a", NOW, lease_until=0)
    stopped = operations.ask_to_stop(operation().id, NOW)
    assert stopped is not None
    assert (stopped.state, stopped.ended_at) == ("stopped", NOW)
    assert operations.claim("b", NOW + DAY) is None


def test_one_whose_process_died_in_a_chunk_is_claimed_to_be_stopped(operations: Operations) -> None:
    operations.add(operation(chunk_end=-1.5, chunk_size=3))
    stopping = operations.ask_to_stop(operation().id, NOW)
    claimed = operations.claim("a", NOW)
    assert stopping is not None
    assert claimed is not None
    assert (stopping.state, stopping.ended_at, claimed.state) == ("stopping", None, "stopping")


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_what_is_over_is_neither_claimed_nor_stopped_nor_changed(
    operations: Operations, state: str
) -> None:
    operations.add(operation())
    operations.claim("a", NOW)
    operations.change(operation().id, "a", NOW, state=state, ended_at=NOW)
    assert operations.claim("b", NOW + DAY) is None
    assert operations.ask_to_stop(operation().id, NOW) is None
    assert operations.change(operation().id, "a", NOW, done=9) is None


def test_what_has_ended_is_removed_after_five_weeks_and_what_runs_stays(
    operations: Operations, engine: Engine
) -> None:
    for number, ended in ((1, 64 * DAY), (2, 66 * DAY)):
        operations.add(operation(number, state="done", ended_at=ended))
    operations.add(operation(3))
    prune(engine, 100 * DAY)
    assert [one.id for one in operations.page()] == [operation(3).id, operation(2).id]


def test_to_forget_a_user_takes_the_user_out_and_leaves_what_was_done(
    operations: Operations, engine: Engine
) -> None:
    operations.add(operation(1, selection={"reference": "user_1"}, state="done", ended_at=1))
    operations.add(operation(2, selection={"reference": "user_10"}, state="done", ended_at=1))
    forget_person(engine, ReferenceKey("", False, "user_1"), NOW)
    other, forgotten = operations.page()
    assert other.selection == {"reference": "user_10"}
    assert (forgotten.selection, forgotten.reason, forgotten.total) == ({"forgotten": True}, "", 5)
