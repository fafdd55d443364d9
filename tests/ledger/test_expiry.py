"""Verifications that expire, on both databases."""

from __future__ import annotations

import pytest

from app.domain.durations import DAY
from app.ledger.ledger import Ledger
from app.ledger.rows import ReferenceRecord
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, POLICY, observation

AFTER = 30 * DAY
OVER = 100 + AFTER


@pytest.fixture
def expiring(scribe: Scribe) -> Ledger:
    """A ledger in which a verification is valid for thirty days."""
    return Ledger(scribe.engine, AFTER)


def record_of(ledger: Ledger, reference: str = "user_1") -> ReferenceRecord:
    record = ledger.read_reference(reference, livemode=False)
    assert record is not None
    return record


def verify(ledger: Ledger, *users: int, at: int = 100) -> None:
    ledger.apply(
        [
            observation("verified", at, session=f"vs_{user}", reference=f"user_{user}")
            for user in users
        ],
        policy=POLICY,
        now=NOW,
    )


def test_a_verification_is_stored_with_its_end(scribe: Scribe, expiring: Ledger) -> None:
    verify(expiring, 1)
    assert record_of(expiring).standing.verified_until == OVER
    assert scribe.query("SELECT status, verified_until FROM reference_standings") == [
        ("verified", OVER)
    ]


def test_what_is_due_expires_and_is_written_with_all_that_follows(expiring: Ledger) -> None:
    verify(expiring, 1)
    assert expiring.revisions.expire_due(policy=POLICY, limit=10, now=OVER - 1) == []
    [revision] = expiring.revisions.expire_due(policy=POLICY, limit=10, now=OVER)
    record = record_of(expiring)
    assert record.standing == revision.standing
    assert (record.standing.status, record.standing.version) == ("expired", OVER)
    line = record.timeline[-1]
    assert (line.cause, line.previous_status, line.status) == ("expired", "verified", "expired")
    assert revision.effects[0] in expiring.effects_due_unsent(OVER + 1, 10)
    assert expiring.revisions.expire_due(policy=POLICY, limit=10, now=OVER + DAY) == []


def test_a_round_is_bounded_and_takes_the_longest_over_first(expiring: Ledger) -> None:
    for user in (1, 2, 3):
        verify(expiring, user, at=100 + user)
    rounds = [
        [one.key.reference for one in revisions]
        for _ in range(3)
        if (revisions := expiring.revisions.expire_due(policy=POLICY, limit=2, now=OVER + 9))
    ]
    assert [sorted(each) for each in rounds] == [["user_1", "user_2"], ["user_3"]]


def test_a_late_event_leaves_it_expired(expiring: Ledger) -> None:
    verify(expiring, 1)
    expiring.revisions.expire_due(policy=POLICY, limit=10, now=OVER)
    late = [observation("processing", 90), observation("verified", 100, event="evt_again")]
    for one in late:
        [applied] = expiring.apply([one], policy=POLICY, now=OVER + 5)
        assert applied.effects == ()
    assert record_of(expiring).standing.status == "expired"


def test_it_counts_once_more_after_another_success(expiring: Ledger) -> None:
    verify(expiring, 1)
    expiring.revisions.expire_due(policy=POLICY, limit=10, now=OVER)
    again = observation("verified", OVER + 10, session="vs_2", created=OVER + 1)
    expiring.apply([again], policy=POLICY, now=OVER + 10)
    standing = record_of(expiring).standing
    assert (standing.status, standing.verified_until) == ("verified", OVER + 10 + AFTER)


def test_a_review_goes_through_all_standings_in_parts(scribe: Scribe) -> None:
    verify(scribe.ledger, 1, 2, 3)
    revisions = Ledger(scribe.engine, AFTER).revisions
    found, position = [], ""
    for _ in range(2):
        changed, last = revisions.review_after(position, policy=POLICY, limit=2, now=NOW + 1)
        found += [one.key.reference for one in changed]
        position = last or ""
    assert sorted(found) == ["user_1", "user_2", "user_3"]
    assert last is None
    changed, _ = revisions.review_after("", policy=POLICY, limit=10, now=NOW + 2)
    assert changed == []
