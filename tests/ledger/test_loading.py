"""What is locked and read at once is what observations concern, and no other row is left."""

from __future__ import annotations

from app.domain.standing import ReferenceKey
from app.ledger.forgetting import forget_person
from tests.ledger.conftest import Scribe
from tests.support.ledger import life, observation


def ids(scribe: Scribe) -> tuple[list[object], list[object]]:
    """The sessions and the references that have a row."""
    sessions = scribe.query("SELECT id FROM sessions ORDER BY id")
    standings = scribe.query("SELECT client_reference_id FROM standings ORDER BY 1")
    return [id for (id,) in sessions], [name for (name,) in standings]


def test_a_duplicate_of_a_forgotten_user_leaves_no_row(scribe: Scribe) -> None:
    scribe.apply(*life())
    forget_person(scribe.engine, ReferenceKey("", False, "user_1"), 1)
    assert [one.outcome for one in scribe.apply(*life())] == ["duplicate"] * len(life())
    assert ids(scribe) == ([], [])


def test_a_duplicate_beside_a_new_event_leaves_no_row(scribe: Scribe) -> None:
    old = observation("verified", 100)
    scribe.apply(old)
    forget_person(scribe.engine, ReferenceKey("", False, "user_1"), 1)
    new = observation("verified", 200, session="vs_2", reference="user_2")
    applied = scribe.ledger.apply([old, new], policy=None, now=1)
    assert [one.outcome for one in applied] == ["duplicate", "applied"]
    assert ids(scribe) == (["vs_2"], ["user_2"])


def test_a_reference_that_is_named_too_late_has_no_row(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 200, reference="user_2"))
    scribe.apply(observation("processing", 100, reference="user_1"))
    assert ids(scribe) == (["vs_1"], ["user_2"])


def test_the_reference_that_a_session_leaves_is_resolved_anew(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100, reference="user_1"))
    scribe.apply(observation("verified", 200, reference="user_2"))
    found = scribe.query("SELECT client_reference_id, status FROM standings ORDER BY 1")
    assert found == [("user_1", "none"), ("user_2", "verified")]


def test_an_orphan_that_comes_to_name_its_user_keeps_what_was_known_of_it(scribe: Scribe) -> None:
    scribe.apply(observation("requires_input", 100, reference=None, error="abandoned"))
    scribe.apply(observation("processing", 200))
    (attempts,) = scribe.query("SELECT attempts FROM standings")
    assert attempts == (1,)


def test_an_orphan_stays_one_session(scribe: Scribe) -> None:
    scribe.apply(observation("processing", 100, reference=None))
    scribe.apply(observation("verified", 200, reference=None))
    assert scribe.query("SELECT status, observations FROM sessions") == [("verified", 2)]


def test_an_id_of_two_accounts_is_two_sessions(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100), observation("processing", 100, account="acct_2"))
    found = scribe.query("SELECT account, status FROM sessions ORDER BY 1")
    assert found == [("", "verified"), ("acct_2", "processing")]
