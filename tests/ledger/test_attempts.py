"""Failed attempts on both databases, and what an operator allows beyond MAX_ATTEMPTS."""

from __future__ import annotations

from app.domain.change import Policy
from app.domain.session import Observation
from app.domain.standing import ReferenceKey
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, POLICY, observation

KEY = ReferenceKey("", False, "user_1")
LIMITED = Policy(notify=True, max_attempts=2)


def failed(at: int, session: str = "vs_1", report: str | None = None) -> Observation:
    seen = observation("requires_input", at, session=session, error="document_expired")
    return seen._replace(snapshot=seen.snapshot._replace(report=report))


def test_an_attempt_is_stored_with_its_code_and_time(scribe: Scribe) -> None:
    scribe.apply(failed(100, report="vr_1"))
    rows = scribe.query("SELECT session_id, attempt, at, code FROM attempts")
    assert rows == [("vs_1", "vr_1", 100, "document_expired")]
    session = scribe.ledger.read_session(failed(100).key)
    assert session is not None
    assert list(session.failed_attempts.values()) == [(100, "document_expired", True)]


def test_an_attempt_that_was_first_seen_late_takes_its_true_time(scribe: Scribe) -> None:
    late = failed(900, report="vr_1")._replace(event_id="", transition=False)
    scribe.apply(late, failed(100, report="vr_1"), late)
    assert scribe.query("SELECT attempt, at FROM attempts") == [("vr_1", 100)]


def test_attempts_before_the_last_success_do_not_count(scribe: Scribe) -> None:
    scribe.apply(failed(100), failed(110), observation("verified", 120), failed(130, "vs_2"))
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert (record.standing.attempts, record.standing.attempts_counted) == (3, 1)
    assert scribe.query(
        "SELECT attempts, attempts_counted, attempts_granted FROM reference_standings"
    ) == [(3, 1, 0)]


def test_at_the_limit_the_ledger_asks_for_a_cancel_of_each_open_session(scribe: Scribe) -> None:
    batch = [failed(100), observation("requires_input", 105, session="vs_2"), failed(110, "vs_3")]
    applied = scribe.ledger.apply(batch, policy=LIMITED, now=NOW)
    cancels = [e.session_id for one in applied for e in one.effects if e.kind == "cancel"]
    assert sorted(cancels) == ["vs_1", "vs_2", "vs_3"]


def test_one_more_attempt_is_allowed_and_kept(scribe: Scribe) -> None:
    scribe.apply(failed(100), failed(110))
    revision = scribe.ledger.revisions.allow_attempt(
        KEY, why="passport renewed", policy=POLICY, now=NOW + 50
    )
    assert revision is not None
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.standing == revision.standing
    assert (record.standing.attempts_granted, record.standing.version) == (1, NOW + 50)
    line = record.timeline[-1]
    assert (line.cause, line.note, line.version) == ("allowed", "passport renewed", NOW + 50)
    stored = scribe.ledger.effects_due_unsent(NOW + 60, 10)
    assert revision.effects[0] in stored
    scribe.apply(failed(120))
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert (record.standing.attempts_counted, record.standing.attempts_granted) == (3, 1)


def test_nothing_is_allowed_to_a_user_never_seen(scribe: Scribe) -> None:
    revision = scribe.ledger.revisions.allow_attempt(KEY, why="x", policy=POLICY, now=NOW)
    assert revision is None
    assert scribe.query("SELECT count(*) FROM standings") == [(0,)]
