"""Several purposes for one user, on both databases."""

from __future__ import annotations

from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger.ledger import Ledger
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, POLICY, observation

DRIVER = ReferenceKey("", False, "user_1", "driver")


def test_each_purpose_is_read_by_itself(scribe: Scribe) -> None:
    scribe.apply(
        observation("verified", 100, purpose="driver"),
        observation("processing", 110, session="vs_2"),
    )
    default = scribe.ledger.read_reference("user_1", livemode=False)
    driver = scribe.ledger.read_reference("user_1", livemode=False, purpose="driver")
    assert default is not None
    assert driver is not None
    assert (default.purpose, default.standing.status) == ("", "processing")
    assert [session.id for session in default.sessions] == ["vs_2"]
    assert (driver.purpose, driver.standing.status) == ("driver", "verified")
    assert [session.id for session in driver.sessions] == ["vs_1"]
    assert [line.status for line in driver.timeline] == ["verified"]
    assert scribe.ledger.read_reference("user_1", livemode=False, purpose="tenant") is None


def test_the_view_tells_them_apart(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100, purpose="driver"))
    assert scribe.query("SELECT client_reference_id, purpose FROM reference_standings") == [
        ("user_1", "driver")
    ]


def test_the_purposes_of_a_user_are_listed(scribe: Scribe) -> None:
    scribe.apply(
        observation("verified", 100, purpose="driver"),
        observation("verified", 100, purpose="tenant", session="vs_2", reference="user_2"),
        observation("verified", 100, session="vs_3"),
    )
    purposes = scribe.ledger.purposes_of
    assert purposes("user_1", account="", livemode=False) == ["", "driver"]
    assert purposes("user_2", account="", livemode=False) == ["tenant"]
    assert purposes("user_1", account="", livemode=True) == []


def test_a_session_that_moves_to_another_purpose_leaves_the_first(scribe: Scribe) -> None:
    scribe.apply(
        observation("processing", 100),
        observation("verified", 110, purpose="driver"),
        observation("processing", 105),  # late, and names none
    )
    left = scribe.ledger.read_reference("user_1", livemode=False)
    entered = scribe.ledger.read_reference("user_1", livemode=False, purpose="driver")
    assert left is not None
    assert entered is not None
    assert (left.standing.status, entered.standing.status) == ("none", "verified")


def test_a_batch_that_moves_a_session_locks_every_purpose_it_passes(ledger: Ledger) -> None:
    batch = [
        observation("processing", 100, purpose="driver"),
        observation("processing", 101, purpose="tenant"),
        observation("verified", 102, purpose="driver"),
    ]
    ledger.apply(batch, policy=POLICY, now=NOW)
    found = {
        purpose: record.standing.status
        for purpose in ("", "driver", "tenant")
        if (record := ledger.read_reference("user_1", livemode=False, purpose=purpose))
    }
    assert found == {"driver": "verified", "tenant": "none"}


def test_a_session_says_whose_it_is_and_what_for(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100, purpose="driver"))
    assert scribe.ledger.reference_of(SessionKey("vs_1", "", False)) == DRIVER


def test_a_notification_says_what_it_is_for(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("verified", 100, purpose="driver"))
    [effect] = applied.effects
    assert effect.reference_key == DRIVER.digest
    assert scribe.ledger.reference_named(DRIVER.digest) == DRIVER
    state = scribe.ledger.notifications.receiver_state(DRIVER.digest, "callback")
    assert state is not None
    assert (state.client_reference_id, state.purpose) == ("user_1", "driver")
    assert state.standing.status == "verified"
