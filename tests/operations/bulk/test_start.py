"""An operation starts if its letters are those of the preview, and only then."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from redis import Redis

from app.domain.errors import Conflict, QueueUnavailable, Rejected
from app.operations.bulk.preview import preview_operation
from app.operations.bulk.selection import LetterSet
from app.operations.bulk.start import SetChanged, stop_operation
from tests.operations.bulk.starting import EVENTS, meant, previewed, started
from tests.support.deployment import Deployment, letter
from tests.support.workers import NOW


def bury(deployment: Deployment, *numbers: int, **options: Any) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n}") for n in numbers), **options)


def test_what_was_previewed_is_written_for_the_workers(deployment: Deployment) -> None:
    bury(deployment, 1, 2, 3)
    operation = started(deployment, reason=" the ledger is back ", rate=50.0, via="console")
    assert deployment.stores.operations.get(operation.id) == operation
    assert re.fullmatch(r"op_[0-9a-f]{12}", operation.id)
    assert (operation.kind, operation.queue, operation.selection) == ("replay", "events", {})
    assert (operation.reason, operation.rate) == ("the ledger is back", 50.0)
    assert (operation.who, operation.via) == ("anna", "console")
    assert (operation.state, operation.total, operation.done) == ("running", 3, 0)
    assert deployment.dead == {"evt_1", "evt_2", "evt_3"}


def test_one_that_is_written_has_started_though_redis_fails_then(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(redis: Redis, name: str) -> None:
        raise QueueUnavailable("away")

    bury(deployment, 1)
    monkeypatch.setattr("app.operations.bulk.start.break_lock", fail)
    operation = started(deployment)
    assert deployment.stores.operations.get(operation.id) == operation


@pytest.mark.parametrize("selection", [EVENTS, meant(reason="permanent_error")])
def test_a_letter_that_has_died_since_the_preview_is_told(
    deployment: Deployment, selection: LetterSet
) -> None:
    bury(deployment, 1, 2)
    digest = previewed(deployment, selection).digest
    bury(deployment, 3)
    with pytest.raises(SetChanged, match="1 new, 0 gone") as refused:
        started(deployment, selection, digest=digest)
    assert (refused.value.new, refused.value.gone) == (1, 0)
    assert refused.value.users == ["user-3"]
    assert refused.value.preview.total == 3
    assert deployment.stores.operations.page() == []
    assert started(deployment, selection, digest=refused.value.preview.digest).total == 3


@pytest.mark.parametrize("selection", [EVENTS, meant(reason="permanent_error")])
def test_a_letter_that_has_gone_since_the_preview_is_told(
    deployment: Deployment, selection: LetterSet
) -> None:
    bury(deployment, 1, 2)
    digest = previewed(deployment, selection).digest
    deployment.events.discard(["evt_2"])
    with pytest.raises(SetChanged) as refused:
        started(deployment, selection, digest=digest)
    assert (refused.value.new, refused.value.gone, refused.value.users) == (0, 1, [])


def test_a_letter_that_was_replayed_and_died_again_is_another(deployment: Deployment) -> None:
    bury(deployment, 1, 2)
    digest = previewed(deployment).digest
    deployment.events.replay(["evt_1"])
    (job,) = deployment.events.claim("token", 60, 1)
    deployment.events.bury(job, "permanent_error", "Broken", "again")
    with pytest.raises(SetChanged) as refused:
        started(deployment, digest=digest)
    assert (refused.value.new, refused.value.gone) == (1, 1)


def test_a_letter_that_is_not_meant_may_come_and_go(deployment: Deployment) -> None:
    bury(deployment, 1, reason="timed_out")
    bury(deployment, 2)
    timed_out = meant(reason="timed_out")
    digest = previewed(deployment, timed_out).digest
    deployment.events.discard(["evt_2"])
    bury(deployment, 3)
    assert started(deployment, timed_out, digest=digest).total == 1


def test_letters_do_not_come_of_age_between_preview_and_start(deployment: Deployment) -> None:
    bury(deployment, 1, 2)
    deployment.age("evt_1", hours=1)
    old, now = meant(older_than=60.0), time.time()
    digest = preview_operation(deployment.stores, "replay", old, now).digest
    assert started(deployment, old, digest=digest, now=now + 3600).total == 1


def test_letters_chosen_by_id_are_pinned_as_well(deployment: Deployment) -> None:
    bury(deployment, 1, 2, 3)
    chosen = LetterSet("events", ids=("evt_1", "evt_2"))
    digest = previewed(deployment, chosen).digest
    bury(deployment, 4)
    assert started(deployment, chosen, digest=digest).selection == {"ids": ["evt_1", "evt_2"]}
    deployment.events.discard(["evt_1"])
    with pytest.raises(SetChanged, match="0 new, 1 gone"):
        started(deployment, chosen, digest=digest)


def test_the_digest_of_another_choice_starts_nothing(deployment: Deployment) -> None:
    bury(deployment, 1)
    digest = previewed(deployment).digest
    with pytest.raises(Rejected, match="of another preview"):
        started(deployment, kind="discard", digest=digest)
    with pytest.raises(Rejected, match="of another preview"):
        started(deployment, meant(reason="timed_out"), digest=digest)


def test_nothing_is_not_started(deployment: Deployment) -> None:
    with pytest.raises(Conflict, match="no dead letters"):
        started(deployment)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x1b[2J"}, "reason"),
        ({"rate": 0.0}, "rate"),
        ({"rate": -1.0}, "rate"),
        ({"rate": float("inf")}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"digest": "none"}, "digest"),
    ],
)
def test_what_cannot_be_started_is_refused_in_a_line(
    deployment: Deployment, asked: dict[str, Any], named: str
) -> None:
    bury(deployment, 1)
    with pytest.raises(Rejected, match=named):
        started(deployment, **asked)
    assert deployment.stores.operations.page() == []


def test_more_ids_than_a_row_holds_are_refused(deployment: Deployment) -> None:
    many = LetterSet("events", ids=tuple(f"evt_{n}" for n in range(1001)))
    with pytest.raises(Rejected, match="1,000 letters at most"):
        started(deployment, many, digest="1_2.0_3_abc")


def test_an_operation_is_asked_to_stop_and_what_is_over_cannot_be(deployment: Deployment) -> None:
    bury(deployment, 1)
    operation = started(deployment)
    operations = deployment.stores.operations
    operations.claim("a", int(NOW))
    assert stop_operation(deployment.stores, operation.id, NOW).state == "stopping"
    assert stop_operation(deployment.stores, operation.id, NOW).state == "stopping"
    operations.change(operation.id, "a", int(NOW), state="stopped", ended_at=int(NOW))
    with pytest.raises(Conflict, match="is over: stopped"):
        stop_operation(deployment.stores, operation.id, NOW)
    with pytest.raises(Rejected, match="no operation op_9"):
        stop_operation(deployment.stores, "op_9", NOW)
