"""A few users of the demo that show something, and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.standing import Standing
from app.local.comparison import Comparison


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One of Stripe's events, and when the ledger applied it, in Unix seconds."""

    name: str  # the last part of its type
    session: str
    applied_at: int | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """The user whose events failed: the standing before their replay, and how many there were."""

    reference: str
    before: Standing | None
    letters: int
    error: str  # the class of what failed


@dataclass(frozen=True, slots=True)
class Story:
    """One user: a title, and named lines."""

    title: str
    reference: str
    lines: tuple[tuple[str, str], ...]


def stories(
    comparisons: Sequence[Comparison],
    sent: Mapping[str, Sequence[SentEvent]],
    replayed: Replayed,
) -> list[Story]:
    """One story of each kind that the demo has an example of, each of another user.

    `sent` are the events of each reference, in the order in which Stripe made them.
    """
    # The shortest first: it is the easiest to follow.
    users = sorted(comparisons, key=lambda one: len(sent.get(one.reference, ())))
    told = [_dead_letter(replayed, comparisons)]
    for find in (_late_event, _resubmission, _redaction):
        seen = {story.reference for story in told if story is not None}
        others = [one for one in users if one.reference not in seen]
        told.append(
            next(filter(None, (find(one, sent.get(one.reference, ())) for one in others)), None)
        )
    dead_letter, *rest = told
    return [story for story in (*rest, dead_letter) if story is not None]


def _late_event(one: Comparison, sent: Sequence[SentEvent]) -> Story | None:
    """A user whose last event was applied before another: the last to come was not the last."""
    if not sent or any(event.applied_at is None for event in sent):
        return None
    arrived = sorted(sent, key=lambda event: event.applied_at or 0)
    if arrived[-1] is sent[-1]:
        return None
    return Story(
        "A late event",
        one.reference,
        (
            ("Stripe sent", _names(sent, sent)),
            ("it came as", _names(arrived, sent)),
            ("the ledger says", describe(one.standing)),
            ("so", "what happened last counts, not what came last"),
        ),
    )


def _resubmission(one: Comparison, sent: Sequence[SentEvent]) -> Story | None:
    """A user who failed, tried again in the same session, and was verified."""
    if one.truth.status != "verified" or not one.truth.attempts or one.truth.redaction:
        return None
    ours = [event for event in sent if event.session == one.truth.session_id]
    if [event.name for event in ours].count("processing") < 2:
        return None
    return Story(
        "A resubmission",
        one.reference,
        (
            ("Stripe sent", _names(ours, ours)),
            ("the ledger says", describe(one.standing)),
            ("so", "a failed attempt decides nothing for good"),
        ),
    )


def _redaction(one: Comparison, sent: Sequence[SentEvent]) -> Story | None:
    """A user whose data was removed after the verification."""
    if one.truth.redaction is None or one.truth.status != "verified":
        return None
    return Story(
        "A redaction",
        one.reference,
        (
            ("Stripe sent", _names(sent, sent)),
            ("the ledger says", describe(one.standing)),
            ("so", "the outcome stays; what the person had submitted never came here"),
        ),
    )


def _dead_letter(replayed: Replayed, comparisons: Sequence[Comparison]) -> Story | None:
    after = next((one for one in comparisons if one.reference == replayed.reference), None)
    if after is None:
        return None
    letters = f"{replayed.letters} events, refused by a broken ledger ({replayed.error})"
    return Story(
        "A dead letter, and its replay",
        replayed.reference,
        (
            ("dead letters", letters),
            ("before", describe(replayed.before)),
            ("after", describe(after.standing)),
        ),
    )


def describe(standing: Standing | None) -> str:
    """A standing in a few words."""
    if standing is None:
        return "nothing"
    code = f" ({standing.last_error_code})" if standing.last_error_code else ""
    parts = [standing.status + code]
    if standing.attempts:
        parts.append(f"{standing.attempts} failed attempt{'s' if standing.attempts > 1 else ''}")
    if standing.redaction:
        parts.append(standing.redaction)
    if standing.next_step != "none":
        parts.append(f"next step {standing.next_step}")
    return ", ".join(parts)


def _names(events: Sequence[SentEvent], sent: Sequence[SentEvent]) -> str:
    """The events' names; with their session's number, by what was sent, if there are several."""
    sessions = list(dict.fromkeys(event.session for event in sent))
    if len(sessions) == 1:
        return ", ".join(event.name for event in events)
    return ", ".join(f"{one.name} (session {sessions.index(one.session) + 1})" for one in events)
