"""A user who is forgotten leaves nothing in the ledger, on both databases."""

from __future__ import annotations

import pytest

from app.domain.standing import ReferenceKey
from app.ledger.audit import Audit
from app.ledger.counts import StandingCounts, count_standings
from app.ledger.forgetting import find_person, forget_person
from app.ledger.tables import metadata
from tests.ledger.conftest import Scribe
from tests.support.ledger import life, observation

USER = ReferenceKey("", False, "user_1")
# What names nobody, and keeps the user from coming back by a second delivery; and what is counted.
KEPT = {"events", "cursors"}


@pytest.fixture
def scribe(scribe: Scribe) -> Scribe:
    """Two users of all there is, one of them for two purposes."""
    scribe.apply(
        *life(),
        observation("verified", 200, session="vs_2", purpose="driver"),
        *(
            observation("verified", 300 + n, session=f"vs_8{n}", reference="user_8", livemode=live)
            for n, live in enumerate((False, True))
        ),
    )
    for name in ("user_1", "user_8"):
        record = scribe.ledger.read_reference(name, livemode=False)
        assert record is not None
        key = ReferenceKey("", False, name).digest
        scribe.ledger.notifications.record_sent(key, "notify_callback", record.standing, 1)
    return scribe


def counts_of_rows(scribe: Scribe) -> dict[str, object]:
    return {
        table: scribe.query(f"SELECT count(*) FROM {table}")[0][0]
        for table in metadata.tables
        if table not in KEPT
    }


def test_nothing_stays_of_every_purpose_of_the_user(scribe: Scribe) -> None:
    person = forget_person(scribe.engine, USER, 1)
    assert {session.id for session in person.sessions} == {"vs_1", "vs_2"}
    assert find_person(scribe.engine, USER).keys == ()
    dump = [
        str(row)
        for table in metadata.tables
        if table not in KEPT
        for row in scribe.query(f"SELECT * FROM {table}")
    ]
    for planted in ("user_1", "'vs_1'", "'vs_2'", *person.keys):
        assert not [row for row in dump if planted in row]


def test_others_lose_nothing(scribe: Scribe) -> None:
    before = scribe.ledger.read_reference("user_8", livemode=False)
    live = scribe.ledger.read_reference("user_8", livemode=True)
    forget_person(scribe.engine, USER, 1)
    assert scribe.ledger.read_reference("user_8", livemode=False) == before
    assert scribe.ledger.read_reference("user_8", livemode=True) == live
    assert counts_of_rows(scribe)["notifications"] == 1


def test_to_forget_who_was_never_seen_changes_nothing(scribe: Scribe) -> None:
    before = counts_of_rows(scribe)
    assert forget_person(scribe.engine, ReferenceKey("", True, "user_1"), 1).keys == ()
    assert counts_of_rows(scribe) == before


def test_an_event_that_is_delivered_again_does_not_bring_the_user_back(scribe: Scribe) -> None:
    forget_person(scribe.engine, USER, 1)
    assert [applied.outcome for applied in scribe.apply(*life())] == ["duplicate"] * 5
    assert find_person(scribe.engine, USER).keys == ()


def test_the_audit_still_says_what_was_done_but_to_nobody(scribe: Scribe) -> None:
    audit = Audit(scribe.engine)
    users = ({"reference": "user_1"}, {"reference": "user_1", "purpose": "driver"})
    for user in (*users, {"reference": "user_8"}):
        audit.record(
            who="anna", via="cli", action="redact_reference", target=user, reason="user asked", at=1
        )
    forget_person(scribe.engine, USER, 1)
    newest, *forgotten = audit.page(None, 10)
    assert (newest.target, newest.reason) == (
        {"reference": "user_8", "livemode": "false"},
        "user asked",
    )
    assert [(one.action, one.target, one.reason) for one in forgotten] == [
        ("redact_reference", {"reference": None}, "")
    ] * 2
    (keys,) = zip(*scribe.query("SELECT reference_key FROM audit ORDER BY id"), strict=True)
    assert keys == ("", "", ReferenceKey("", False, "user_8").digest)


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_the_standings_are_counted_as_if_the_user_had_never_been(scribe: Scribe, runs: int) -> None:
    for _ in range(runs):
        count_standings(scribe.engine, 1)
    forget_person(scribe.engine, USER, 1)
    scribe.apply(observation("verified", 400, session="vs_9", reference="user_9"))
    for _ in range(3):
        count_standings(scribe.engine, 1)
    with scribe.engine.connect() as connection:
        found = StandingCounts.read(connection).counts
    assert {of: n for of, n in found.items() if n} == {
        ("verified", False): 2,
        ("verified", True): 1,
    }


def test_the_last_line_of_the_timeline_may_be_the_users(scribe: Scribe) -> None:
    """SQLite gives its number to the next line, which has to be counted all the same."""
    scribe.apply(observation("canceled", 500, session="vs_3", purpose="late"))
    for _ in range(2):
        count_standings(scribe.engine, 1)
    forget_person(scribe.engine, USER, 1)
    scribe.apply(observation("canceled", 600, session="vs_9", reference="user_9"))
    for _ in range(2):
        count_standings(scribe.engine, 1)
    with scribe.engine.connect() as connection:
        assert StandingCounts.read(connection).counts["canceled", False] == 1
