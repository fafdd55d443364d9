"""What a session is for, as its metadata says, and what becomes of that."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.change import Policy
from app.domain.event import SessionEvent
from app.domain.reconcile import Known, Outcome, reconcile
from app.domain.session import Observation
from app.domain.snapshot import METADATA, MetadataKeys, Snapshot
from app.domain.standing import ReferenceKey
from tests.support.events import event_body, with_value
from tests.support.observations import answer, joined, observation

KEYS = MetadataKeys(("user_id",), "purpose")
DEFAULT = ReferenceKey("", False, "user-1")
DRIVER = DEFAULT._replace(purpose="driver")


def parsed(keys: MetadataKeys = KEYS, **fields: Any) -> Snapshot:
    event = SessionEvent.parse(event_body(**fields), keys)
    assert event is not None
    return event.snapshot


def applied(*observations: Observation) -> Outcome:
    return reconcile(Known(), observations, policy=Policy(notify=True), now=1_000)


# --- what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["driver", "a", "x" * 64, "Rent_2.b-1"])
def test_the_purpose_is_read_from_metadata(purpose: str) -> None:
    snapshot = parsed(metadata={"purpose": purpose})
    assert (snapshot.reference, snapshot.purpose) == ("user-1", purpose)


def test_a_purpose_that_is_not_looked_for_is_the_default_one() -> None:
    assert parsed(MetadataKeys(), metadata={"purpose": "driver"}).purpose == ""


@pytest.mark.parametrize("metadata", [{}, {"purpose": ""}, {"purpose": None}])
def test_a_session_that_names_none_is_for_the_default_purpose(metadata: dict[str, Any]) -> None:
    snapshot = parsed(metadata=metadata)
    assert (snapshot.reference, snapshot.purpose) == ("user-1", "")


@pytest.mark.parametrize("purpose", ["x" * 65, "to drive", "a\n", "a/b", "é", 7, ["driver"]])
def test_an_unusable_purpose_makes_an_orphan_rather_than_verify_the_user_for_another(
    purpose: Any,
) -> None:
    for fields in ({"reference": "user-1"}, {"reference": None}):
        snapshot = parsed(**fields, metadata={"purpose": purpose, "user_id": "u-1"})
        assert (snapshot.reference, snapshot.reference_source, snapshot.purpose) == (None, 0, "")


@pytest.mark.parametrize("metadata", [{}, None])
def test_a_redacted_session_whose_metadata_is_erased_does_not_say_whose_it_is(
    metadata: Any,
) -> None:
    body = event_body("redacted", "verified", redaction="redacted")
    event = SessionEvent.parse(with_value(body, ("data", "object", "metadata"), metadata), KEYS)
    assert event is not None
    assert event.snapshot.reference is None


def test_a_redacted_session_is_the_users_where_purposes_are_not_used() -> None:
    assert parsed(MetadataKeys(), redaction="redacted").reference == "user-1"


def test_a_queued_event_keeps_its_purpose() -> None:
    event = SessionEvent.parse(event_body(metadata={"purpose": "driver"}), KEYS)
    assert event is not None
    assert SessionEvent.unpack(event.pack()) == event


# --- what becomes of it ---------------------------------------------------------------------


def test_each_purpose_has_a_standing_of_its_own() -> None:
    outcome = applied(
        observation("verified", 10, purpose="driver"),
        observation("requires_input", 20, "abandoned", session="vs_2"),
    )
    assert {key: standing.status for key, standing in outcome.standings.items()} == {
        DRIVER: "verified",
        DEFAULT: "requires_input",
    }
    assert outcome.standings[DEFAULT].attempts == 1
    assert outcome.standings[DRIVER].attempts == 0
    assert [e.reference_key for e in outcome.effects] == [DRIVER.digest, DEFAULT.digest]


def test_a_purpose_has_another_key_than_the_default_one() -> None:
    assert ReferenceKey("", False, "user-1", "") == DEFAULT
    assert len({DEFAULT.digest, DRIVER.digest}) == 2


def test_an_erased_purpose_stays() -> None:
    redacted = observation(
        "verified", 30, name="redacted", redaction="redacted", reference=None, purpose=""
    )
    session = joined(observation("verified", 10, purpose="driver"), redacted)
    assert (session.snapshot.reference, session.snapshot.purpose) == ("user-1", "driver")


def test_a_purpose_that_changes_moves_the_session() -> None:
    outcome = applied(
        observation("verified", 10, purpose="driver"), answer("verified", 20, purpose="tenant")
    )
    assert outcome.standings[DRIVER].status == "none"
    assert outcome.standings[DRIVER._replace(purpose="tenant")].status == "verified"


def test_a_late_event_does_not_move_the_session_back() -> None:
    session = joined(
        observation("verified", 20, purpose="tenant"),
        observation("processing", 10, purpose="driver"),
    )
    assert session.snapshot.purpose == "tenant"


def test_a_purpose_is_not_taken_away() -> None:
    session = joined(observation("processing", 10, purpose="driver"), observation("verified", 20))
    assert session.snapshot.purpose == "driver"


def test_an_orphan_keeps_what_it_is_for() -> None:
    session = joined(
        observation("verified", 10, reference=None, purpose="driver"),
        answer("verified", 10, reference="user-1", source=METADATA),
    )
    assert (session.snapshot.reference, session.snapshot.purpose) == ("user-1", "driver")
