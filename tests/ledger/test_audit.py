"""The audit is kept in order, by page and filter, and names a user by the standing alone."""

from __future__ import annotations

from typing import Any

import pytest

from app.ledger.audit import MAX_TEXT, Audit, AuditEntry
from app.ledger.engine import LedgerUnavailable
from tests.ledger.conftest import Scribe
from tests.support.ledger import observation


@pytest.fixture
def audit(scribe: Scribe) -> Audit:
    return Audit(scribe.engine)


def record(audit: Audit, target: dict[str, str] | None = None, **fields: Any) -> None:
    """An entry, of which the test says only what matters to it."""
    given: dict[str, Any] = {"who": "anna", "via": "cli", "action": "pause", "at": 100}
    audit.record(target=target or {}, **(given | fields))


def newest(audit: Audit) -> AuditEntry:
    (entry,) = audit.page(None, 1)
    return entry


def test_an_entry_says_who_did_what_when_why_and_with_what_result(audit: Audit) -> None:
    record(audit, {"session_id": "vs_1"}, action="cancel", reason="a double", result="done: 1")
    entry = newest(audit)
    assert entry == AuditEntry(
        id=entry.id,
        at=100,
        who="anna",
        via="cli",
        action="cancel",
        target={"session_id": "vs_1"},
        reason="a double",
        result="done: 1",
    )


def test_pages_go_from_the_newest_back_and_neither_repeat_nor_omit(audit: Audit) -> None:
    for at in range(5):
        record(audit, at=at)
    first = audit.page(None, 2)
    second = audit.page(first[-1].id, 2)
    last = audit.page(second[-1].id, 2)
    assert [entry.at for page in (first, second, last) for entry in page] == [4, 3, 2, 1, 0]
    assert audit.page(last[-1].id, 2) == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [3, 2, 1, 0]),
        ({"who": "anna"}, [2, 0]),
        ({"action": "pause"}, [1, 0]),
        ({"who": "anna", "action": "resume"}, [2]),
        ({"who": "nobody"}, []),
    ],
)
def test_filters_leave_what_they_name(
    audit: Audit, filters: dict[str, str], found: list[int]
) -> None:
    record(audit, at=0, who="anna", action="pause")
    record(audit, at=1, who="ben", action="pause")
    record(audit, at=2, who="anna", action="resume")
    record(audit, at=3, who="ben", action="resume")
    assert [entry.at for entry in audit.page(None, 10, **filters)] == found
    if found:
        oldest = audit.page(None, 10, **filters)[-1].id
        assert audit.page(oldest, 10, **filters) == []


def test_a_user_is_named_by_the_standing_and_not_in_the_audit_itself(
    scribe: Scribe, audit: Audit
) -> None:
    scribe.apply(observation("verified", 100, account="acct_1", livemode=True, purpose="driver"))
    user = {"reference": "user_1", "account": "acct_1", "livemode": "true", "purpose": "driver"}
    record(audit, {"session_id": "vs_1", **user})
    assert newest(audit).target == {"session_id": "vs_1", **user}
    assert "user_1" not in str(scribe.query("SELECT * FROM audit"))


def test_of_a_user_whom_the_ledger_does_not_know_no_name_is_kept(
    scribe: Scribe, audit: Audit
) -> None:
    record(audit, {"reference": "user_9"})
    assert newest(audit).target == {"reference": None}
    assert "user_9" not in str(scribe.query("SELECT * FROM audit"))


def test_a_target_without_a_mode_is_of_the_mode_of_the_key(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100, livemode=True))
    audit = Audit(scribe.engine, livemode=True)
    record(audit, {"reference": "user_1"})
    assert newest(audit).target == {"reference": "user_1", "livemode": "true"}


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "x" * 9_000])
def test_what_no_database_holds_and_what_is_too_long_is_cut_and_kept(
    audit: Audit, text: str
) -> None:
    record(audit, {"account": text, "reference": text}, who=text, reason=text, result=text)
    record(audit, {"id": text}, action=text)
    kept = audit.page(None, 2)
    assert len(kept) == 2
    assert len(kept[0].target["id"] or "") <= MAX_TEXT


def test_a_ledger_that_is_not_migrated_takes_no_entry(scribe: Scribe, audit: Audit) -> None:
    with scribe.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO elsewhere")
    try:
        with pytest.raises(LedgerUnavailable, match="migrate"):
            record(audit)
    finally:
        with scribe.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO audit")
