"""What an id alone leads to, on both databases."""

from __future__ import annotations

import pytest

from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger.look_ups import LookUps
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, life, observation

USER = ReferenceKey("", False, "user_1")


@pytest.fixture
def look_ups(scribe: Scribe) -> LookUps:
    return LookUps(scribe.engine)


def test_an_event_that_was_applied_is_found_with_its_session(
    scribe: Scribe, look_ups: LookUps
) -> None:
    scribe.apply(observation("verified", 100, event="evt_1", account="acct_1"))
    found = look_ups.event("evt_1")
    assert found is not None
    assert (found.name, found.created, found.applied_at) == ("verified", 100, NOW)
    assert found.session == SessionKey("vs_1", "acct_1", False)
    assert look_ups.event("evt_2") is None


def test_a_session_is_found_in_every_account_and_mode(scribe: Scribe, look_ups: LookUps) -> None:
    scribe.apply(
        observation("verified", 100),
        observation("processing", 100, event="evt_2", livemode=True, purpose="driver"),
        observation("canceled", 100, event="evt_3", account="acct_1", reference=None),
        observation("canceled", 100, session="vs_10"),
    )
    found = {one.key: (one.status, one.reference) for one in look_ups.sessions("vs_1")}
    assert found == {
        SessionKey("vs_1", "", False): ("verified", USER),
        SessionKey("vs_1", "", True): ("processing", ReferenceKey("", True, "user_1", "driver")),
        SessionKey("vs_1", "acct_1", False): ("canceled", None),
    }


def test_a_reference_is_found_in_every_account_mode_and_purpose(
    scribe: Scribe, look_ups: LookUps
) -> None:
    scribe.apply(
        observation("verified", 100),
        observation("processing", 100, session="vs_2", livemode=True),
        observation("canceled", 100, session="vs_3", purpose="driver"),
        observation("canceled", 100, session="vs_4", reference="user_10"),
    )
    found = {one.key: one.status for one in look_ups.references("user_1")}
    assert found == {
        USER: "verified",
        USER._replace(livemode=True): "processing",
        USER._replace(purpose="driver"): "canceled",
    }
    assert look_ups.references("nobody") == []


def test_a_session_that_stripe_does_not_know_is_missing(scribe: Scribe, look_ups: LookUps) -> None:
    key = SessionKey("vs_1", "", False)
    scribe.apply(observation("verified", 100))
    assert not look_ups.is_missing(key)
    scribe.ledger.polling.mark_missing(key, NOW)
    assert look_ups.is_missing(key)
    assert not look_ups.is_missing(key._replace(id="vs_2"))


def test_a_timeline_is_read_part_by_part_from_its_newest_line(
    scribe: Scribe, look_ups: LookUps
) -> None:
    scribe.apply(*life())
    first = look_ups.timeline(USER, before=None, limit=3)
    rest = look_ups.timeline(USER, before=first[-1].number, limit=3)
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert [one.line for one in (*first, *rest)] == list(reversed(record.timeline))
    assert look_ups.timeline(USER._replace(reference="nobody"), before=None, limit=3) == []
