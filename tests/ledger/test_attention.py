"""What the ledger has for whoever is on call, on both databases."""

from __future__ import annotations

import pytest

from app.domain.standing import ReferenceKey
from app.ledger import attention as room
from app.ledger.attention import Attention
from app.ledger.rows import Discarded
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, life, observation


@pytest.fixture
def attention(scribe: Scribe) -> Attention:
    return Attention(scribe.engine)


def test_the_newest_changes_of_all_users_come_first(scribe: Scribe, attention: Attention) -> None:
    scribe.apply(*life())
    scribe.apply(observation("processing", 300, session="vs_2", reference="user_2", livemode=True))
    newest, before = attention.latest_changes(2)
    assert newest.reference == ReferenceKey("", True, "user_2")
    assert (newest.line.previous_status, newest.line.status) == (None, "processing")
    assert before.reference == ReferenceKey("", False, "user_1")
    assert (before.line.previous_status, before.line.status) == ("processing", "verified")
    assert newest.id > before.id


def test_the_discarded_letter_of_an_orphan_names_nobody(
    scribe: Scribe, attention: Attention
) -> None:
    scribe.ledger.record_discarded([Discarded("evt_9", None, "vs_1")], "a test", NOW)
    (found,) = attention.latest_changes(20)
    assert (found.reference, found.line.cause, found.line.note) == (None, "discarded", "a test")


def test_orphans_are_counted_by_mode_and_up_to_a_limit(
    scribe: Scribe, attention: Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_COUNTED", 2)
    for n in range(3):
        scribe.apply(observation("processing", 100, session=f"vs_{n}", reference=None))
    assert (attention.orphans(False), attention.orphans(True)) == (2, 0)


def test_sessions_that_stripe_does_not_know_are_found_with_their_user(
    scribe: Scribe, attention: Attention
) -> None:
    scribe.apply(observation("processing", 100), observation("processing", 100, session="vs_2"))
    (key,) = {
        one for one in scribe.ledger.polling.sessions_to_check(False, 10**9, 10) if one.id == "vs_1"
    }
    scribe.ledger.polling.mark_missing(key, NOW)
    (found,) = attention.missing(False, 10)
    assert (found.key.id, found.since) == ("vs_1", NOW)
    assert found.reference_key == ReferenceKey("", False, "user_1").digest
    assert attention.missing(True, 10) == []


def test_redactions_that_stripe_takes_too_long_for_are_found_the_longest_first(
    scribe: Scribe, attention: Attention
) -> None:
    for n, at in enumerate((300, 100, 200)):
        scribe.apply(observation("canceled", at, session=f"vs_{n}", redaction="processing"))
    found = attention.overdue_redactions(before=250, limit=10)
    assert [(one.key.id, one.since) for one in found] == [("vs_1", 100), ("vs_2", 200)]
    assert len(attention.overdue_redactions(before=250, limit=1)) == 1
