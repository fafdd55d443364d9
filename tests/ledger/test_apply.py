"""What one observation does to the ledger, whatever came before it."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from sqlalchemy.event import listen

from app.domain import reconcile
from app.domain.attempts import FailedAttempt
from app.domain.change import Change
from app.domain.effects import Effect
from app.domain.errors import Permanent
from app.domain.session import Observation, Session
from app.domain.standing import Standing
from app.ledger.ledger import Ledger
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, count_events, life, observation

TABLES = ("events", "sessions", "attempts", "standings", "timeline", "effects")


def test_a_first_event_opens_its_session_and_its_reference(scribe: Scribe) -> None:
    [applied] = scribe.apply(observation("requires_input", 100))
    assert applied.outcome == "applied"
    assert applied.standing_before is None
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.standing == applied.standing
    assert (record.standing.status, record.standing.version) == ("requires_input", NOW)
    assert [session.id for session in record.sessions] == ["vs_1"]
    assert [(line.previous_status, line.status) for line in record.timeline] == [
        (None, "requires_input")
    ]


def test_the_same_event_ten_times_changes_the_standing_once(scribe: Scribe) -> None:
    applied = scribe.apply(*[observation("verified", 100)] * 10)
    assert [one.outcome for one in applied] == ["applied"] + ["duplicate"] * 9
    assert [len(one.effects) for one in applied] == [1] + [0] * 9
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert (record.standing.version, len(record.timeline)) == (NOW, 1)
    assert count_events(scribe.engine) == 1


def test_a_life_is_told_line_by_line_in_the_timeline(scribe: Scribe) -> None:
    scribe.apply(*life())
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert [(line.version, line.status, line.attempts, line.as_of) for line in record.timeline] == [
        (NOW, "requires_input", 0, 100),
        (NOW + 1, "processing", 0, 110),
        (NOW + 2, "requires_input", 1, 120),
        (NOW + 3, "processing", 1, 130),
        (NOW + 4, "verified", 1, 140),
    ]
    assert record.timeline[-1].event_id == "evt_1_140_verified"
    assert record.standing.verified_at == 140


def in_account(observation: Observation, account: str) -> Observation:
    return observation._replace(
        snapshot=observation.snapshot._replace(account=account),
        event_id=f"{observation.event_id}_{account}",
    )


def outcome(ledger: Ledger, account: str) -> tuple[Standing, list[Session]]:
    """What is left in the ledger, without what names the account."""
    record = ledger.read_reference("user_1", account=account, livemode=False)
    assert record is not None
    sessions = [
        s._replace(
            snapshot=s.snapshot._replace(account=""),
            event_id=s.event_id.removesuffix(account),
        )
        for s in record.sessions
    ]
    return record.standing._replace(version=0), sessions


def test_a_life_s_events_in_every_order_give_the_same_record(scribe: Scribe) -> None:
    seen = [observation("requires_input", 90), *life()[1:3], observation("verified", 140)]
    outcomes = []
    for number, order in enumerate(permutations(seen)):
        scribe.apply(*(in_account(one, f"acct_{number}") for one in order))
        outcomes.append(outcome(scribe.ledger, f"acct_{number}"))
    assert outcomes == [outcomes[0]] * len(outcomes)
    assert outcomes[0][0].status == "verified"


def test_two_sessions_events_shuffled_and_repeated_give_the_same_record(scribe: Scribe) -> None:
    redacted = observation("canceled", 500, session="vs_2", created=200, redaction="redacted")
    seen = [*life("vs_1", 100, "verified"), *life("vs_2", 200, "canceled"), redacted]
    shuffle = random.Random(20).sample
    outcomes = []
    for number in range(12):
        order = shuffle(seen, len(seen)) + shuffle(seen, 4)
        scribe.apply(*(in_account(one, f"acct_{number}") for one in order))
        outcomes.append(outcome(scribe.ledger, f"acct_{number}"))
    assert outcomes == [outcomes[0]] * len(outcomes)
    assert outcomes[0][0].attempts == 2


def test_a_late_event_of_an_older_session_does_not_take_verified_away(scribe: Scribe) -> None:
    scribe.apply(*life("vs_2", start=500))
    [late] = scribe.apply(observation("requires_input", 100, session="vs_1", error="abandoned"))
    assert late.standing is not None
    assert (late.standing.status, late.standing.session_id) == ("verified", "vs_2")


def test_a_late_verified_of_an_older_session_counts(scribe: Scribe) -> None:
    scribe.apply(observation("requires_input", 500, session="vs_2", created=500))
    [late] = scribe.apply(observation("verified", 600, session="vs_1", created=100))
    assert late.standing is not None
    assert (late.standing.status, late.standing.session_id) == ("verified", "vs_1")


def test_an_observation_that_shows_nothing_new_leaves_version_and_timeline(scribe: Scribe) -> None:
    scribe.apply(*life())
    [late] = scribe.apply(observation("processing", 110, event="evt_another_endpoint"))
    assert late.outcome == "applied"
    assert late.standing_before == late.standing
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert (record.standing.version, len(record.timeline)) == (NOW + 4, 5)


def test_an_api_answer_is_merged_without_an_event(scribe: Scribe) -> None:
    answer = observation("verified", 100, event="")._replace(transition=False)
    assert [one.outcome for one in scribe.apply(answer, answer)] == ["applied", "applied"]
    record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert count_events(scribe.engine) == 0
    assert [line.event_id for line in record.timeline] == [None]


@pytest.mark.parametrize("known", [False, True])
def test_what_a_handler_raises_rolls_everything_back(
    scribe: Scribe, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known:
        scribe.apply(*life()[:2])
    before = [scribe.query(f"SELECT * FROM {table}") for table in TABLES]

    def fails(change: Change) -> list[Effect]:
        raise Permanent("the subscriber raised")

    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "handle", fails)
        with pytest.raises(Permanent, match="the subscriber raised"):
            scribe.apply(observation("requires_input", 120, error="abandoned"))
    assert [scribe.query(f"SELECT * FROM {table}") for table in TABLES] == before
    [again] = scribe.apply(observation("requires_input", 120, error="abandoned"))
    assert again.outcome == "applied"


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """The changes that the handlers are given; they ask for nothing."""
    given: list[Change] = []

    def notes(change: Change) -> list[Effect]:
        given.append(change)
        return []

    monkeypatch.setattr(reconcile, "handle", notes)
    return given


def test_a_handler_is_given_the_change_before_it_is_committed(
    scribe: Scribe, changes: list[Change]
) -> None:
    scribe.apply(*life()[:3], observation("verified", 140))
    change = changes[-1]
    assert change.session_before is not None
    assert change.standing_before is not None
    assert change.standing is not None
    assert change.session_before.failed_attempts == change.session.failed_attempts
    assert change.session.failed_attempts == {
        "at-120": FailedAttempt(120, "abandoned", entered=True)
    }
    assert (change.session_before.status, change.session.status) == ("requires_input", "verified")
    assert (change.standing_before.version, change.standing.version) == (NOW + 2, NOW + 3)


def test_a_session_s_first_change_has_nothing_before(scribe: Scribe, changes: list[Change]) -> None:
    scribe.apply(observation("requires_input", 100, error="abandoned"))
    assert (changes[0].session_before, changes[0].standing_before) == (None, None)
    assert changes[0].session.failed_attempts == {
        "at-100": FailedAttempt(100, "abandoned", entered=True)
    }


def test_an_unchanged_session_and_standing_are_not_written_again(scribe: Scribe) -> None:
    scribe.apply(*life())
    columns = "status, as_of, updated_at"
    before = scribe.query(f"SELECT {columns} FROM sessions")
    late = observation("processing", 110, created=100, event="evt_late")
    scribe.ledger.apply([late], policy=None, now=NOW + 1)
    assert scribe.query(f"SELECT {columns} FROM sessions") == before
    assert scribe.query("SELECT updated_at FROM standings") == [(NOW,)]


def test_an_apply_costs_two_round_trips_and_few_statements(scribe: Scribe) -> None:
    counts: list[int] = []
    said: list[str] = []
    listen(scribe.engine, "before_cursor_execute", lambda *a: said.append(a[2]))
    failed = observation("requires_input", 120, error="abandoned")
    for seen in (
        observation("requires_input", 100),
        failed,
        failed,
        observation("processing", 110),
    ):
        said.clear()
        scribe.apply(seen)
        counts.append(len([one for one in said if not one.startswith("BEGIN")]))
    first, changed, duplicate, late = counts
    # PostgreSQL is sent all that it loads in one go, and all that it saves, with the COMMIT.
    expected = {"postgresql": (2, 2, 2, 2), "sqlite": (12, 11, 6, 7)}
    assert (first, changed, duplicate, late) == expected[scribe.engine.dialect.name]
