"""What each receiver was told, and what a team reads by SQL: on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from app.domain.standing import ReferenceKey
from app.ledger.notification_log import NotificationLog, ReceiverState
from tests.ledger.conftest import Scribe
from tests.support.ledger import NOW, named_in_metadata, observation

# What a team may build on: a column may be added behind these, and none may go.
COLUMNS = [
    "client_reference_id",
    "account",
    "livemode",
    "status",
    "session_id",
    "since",
    "verified_at",
    "attempts",
    "last_error_code",
    "next_step",
    "redaction",
    "type",
    "verification_flow",
    "options",
    "version",
    "purpose",
    "attempts_counted",
    "attempts_granted",
    "verified_until",
]


USER_1 = ReferenceKey("", False, "user_1").digest


@pytest.fixture
def log(scribe: Scribe) -> NotificationLog:
    return NotificationLog(scribe.engine)


def receiver_state(log: NotificationLog, receiver: str = "notify_callback") -> ReceiverState:
    found = log.receiver_state(USER_1, receiver)
    assert found is not None
    return found


def test_a_reference_never_seen_is_not_told_of(log: NotificationLog) -> None:
    assert log.receiver_state(ReferenceKey("", False, "nobody").digest, "r") is None


def test_a_receiver_knows_nothing_at_first(scribe: Scribe, log: NotificationLog) -> None:
    scribe.apply(observation("verified", 100))
    found = receiver_state(log)
    assert found.key == ReferenceKey("", False, "user_1").digest
    assert (found.standing.status, found.known_version, found.known_status) == ("verified", 0, None)


def test_what_a_receiver_was_told_is_kept_for_it_alone(
    scribe: Scribe, log: NotificationLog
) -> None:
    scribe.apply(observation("verified", 100))
    found = receiver_state(log)
    log.record_sent(found.key, "notify_callback", found.standing, 1)
    assert receiver_state(log).known_version == NOW
    assert receiver_state(log).known_status == "verified"
    assert receiver_state(log, "notify_stream").known_version == 0


def test_what_was_told_late_does_not_hide_what_was_told_since(
    scribe: Scribe, log: NotificationLog
) -> None:
    scribe.apply(observation("requires_input", 100, error="abandoned"))
    older = receiver_state(log)
    scribe.apply(observation("verified", 200))
    newer = receiver_state(log)
    log.record_sent(newer.key, "notify_callback", newer.standing, 1)
    log.record_sent(older.key, "notify_callback", older.standing, 2)
    assert (receiver_state(log).known_version, receiver_state(log).known_status) == (
        NOW + 1,
        "verified",
    )


def test_a_reference_that_stands_as_before_when_a_session_leaves_it_is_not_told_of(
    scribe: Scribe,
) -> None:
    scribe.apply(
        named_in_metadata("canceled", 90, "a", session="vs_1"),
        named_in_metadata("verified", 100, "a", session="vs_2"),
    )
    [moved] = scribe.apply(named_in_metadata("canceled", 200, "b", session="vs_1"))
    assert [(effect.reference_key, effect.version) for effect in moved.effects] == [
        (ReferenceKey("", False, "b").digest, NOW)
    ]


def test_the_view_has_the_columns_that_it_promised(scribe: Scribe) -> None:
    found = inspect(scribe.engine).get_columns("reference_standings")
    assert [column["name"] for column in found][: len(COLUMNS)] == COLUMNS


def test_a_team_joins_its_users_to_how_they_stand(scribe: Scribe) -> None:
    scribe.apply(
        observation("verified", 100),
        observation("canceled", 100, session="vs_2", reference="user_2"),
        observation("canceled", 100, session="vs_3", livemode=True),
        observation("canceled", 100, session="vs_4", account="acct_1"),
        observation("canceled", 100, session="vs_5", purpose="driver"),
    )
    with scribe.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id TEXT PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO users VALUES ('user_1'), ('user_2'), ('user_3')")
    try:
        found = scribe.query(
            "SELECT users.id, coalesce(standing.status, 'none') FROM users"
            " LEFT JOIN reference_standings AS standing"
            " ON standing.client_reference_id = users.id"
            " AND standing.account = '' AND standing.purpose = '' AND NOT standing.livemode"
            " ORDER BY users.id"
        )
    finally:
        with scribe.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE users")
    assert found == [("user_1", "verified"), ("user_2", "canceled"), ("user_3", "none")]


def test_a_reference_that_was_only_discarded_is_not_in_the_view(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 100, reference=None))
    assert scribe.query("SELECT * FROM reference_standings") == []
