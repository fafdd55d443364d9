"""Which users the demo tells of, and what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.domain.standing import Standing
from app.local.comparison import Comparison
from app.local.sandbox_client import Truth
from app.local.stories import Replayed, SentEvent, Story, describe, stories

NONE_FAILED = Replayed("nobody", None, 0, "")


def compared(reference: str, status: str = "verified", **fields: Any) -> Comparison:
    standing = Standing(status, "vs_1", 10, 10, 0, None, "none", None)._replace(**fields)
    truth = Truth(status, "vs_1", None, standing.attempts, standing.redaction)
    return Comparison(reference, standing, truth)


def sent(*names: str, session: str = "vs_1", applied: str = "") -> list[SentEvent]:
    """Events in the order that Stripe made them; `applied` has a digit for each: its second."""
    seconds = applied or "0" * len(names)
    return [SentEvent(name, session, int(at)) for name, at in zip(names, seconds, strict=True)]


def only(found: list[Story]) -> tuple[str, dict[str, str]]:
    (story,) = found
    return story.title, dict(story.lines)


def test_an_event_is_late_if_the_last_to_come_is_not_the_last_to_happen() -> None:
    happened = {"u": sent("created", "processing", "verified", applied="031")}
    title, lines = only(stories([compared("u")], happened, NONE_FAILED))
    assert title == "A late event"
    assert lines["Stripe sent"] == "created, processing, verified"
    assert lines["it came as"] == "created, verified, processing"
    assert lines["the ledger says"] == "verified"


def test_the_sessions_of_a_user_are_numbered_as_they_were_opened() -> None:
    first, second = sent("created", session="vs_1", applied="1"), sent("canceled", session="vs_2")
    told = stories([compared("u")], {"u": first + second}, NONE_FAILED)
    assert only(told)[1]["it came as"] == "canceled (session 2), created (session 1)"


def test_events_of_one_second_and_those_in_order_are_not_late() -> None:
    for applied in ("000", "012", "011"):
        happened = {"u": sent("created", "processing", "verified", applied=applied)}
        assert stories([compared("u")], happened, NONE_FAILED) == []


def test_an_event_that_is_not_applied_yet_tells_nothing() -> None:
    happened = {"u": [SentEvent("created", "vs_1", 9), SentEvent("verified", "vs_1", None)]}
    assert stories([compared("u")], happened, NONE_FAILED) == []


def test_a_resubmission_is_told_of_a_user_who_failed_first() -> None:
    happened = {"u": sent("created", "processing", "requires_input", "processing", "verified")}
    title, lines = only(stories([compared("u", attempts=1)], happened, NONE_FAILED))
    assert title == "A resubmission"
    assert lines["the ledger says"] == "verified, 1 failed attempt"


def test_a_redaction_keeps_the_outcome() -> None:
    found = stories([compared("u", redaction="redacted")], {"u": sent("created")}, NONE_FAILED)
    title, lines = only(found)
    assert title == "A redaction"
    assert lines["the ledger says"] == "verified, redacted"


def test_a_replay_tells_the_standing_before_and_after() -> None:
    before = Standing("requires_input", "vs_1", 1, None, 0, None, "submit", None)
    replayed = Replayed("u", before, 2, "LedgerBroken")
    title, lines = only(stories([compared("u")], {}, replayed))
    assert title == "A dead letter, and its replay"
    assert (lines["before"], lines["after"]) == ("requires_input, next step submit", "verified")


def test_each_story_is_of_another_user() -> None:
    late = sent(
        "created", "processing", "requires_input", "processing", "verified", applied="04444"
    )
    happened = {"a": [*late[:1], replace(late[1], applied_at=9), *late[2:]], "b": late}
    users = [compared("a", attempts=1), compared("b", attempts=1)]
    found = stories(users, happened, NONE_FAILED)
    assert [(story.title, story.reference) for story in found] == [
        ("A late event", "a"),
        ("A resubmission", "b"),
    ]


def test_a_standing_that_is_not_there_is_described_as_nothing() -> None:
    assert describe(None) == "nothing"
