"""What a replay would change, by reference, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.batches import batches
from app.domain.errors import UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.reconcile import Known, reconcile, reference_of
from app.domain.session import Observation
from app.domain.standing import ReferenceKey, Standing
from app.ledger.ledger import Ledger
from app.operations.dlq.selection import FailedJob

# Events in one statement: databases limit its parameters.
BATCH_SIZE = 500


@dataclass(frozen=True, slots=True)
class Preview:
    """One reference's standing now and after a replay of its letters."""

    reference: str | None  # None: letters of sessions that name no reference
    account: str
    livemode: bool
    letters: int
    before: Standing | None
    after: Standing | None
    purpose: str = ""

    @property
    def changes(self) -> bool:
        """Whether the standing of the reference would change."""
        return self.before != self.after


def preview(letters: Iterable[FailedJob], ledger: Ledger, now: int) -> Iterator[Preview]:
    """What replaying all the letters would change, for each reference they are about.

    A letter that this version cannot read is not counted: it would fail again. `now` is in Unix
    seconds.
    """
    observations = _observations(letters)
    known = _look_up(observations, ledger)
    outcome = reconcile(
        known, observations, policy=None, now=now, reverify_after=ledger.reverify_after
    )
    sessions = {**known.sessions, **outcome.sessions}
    standings = {**known.standings, **outcome.standings}
    # A session that a letter moves to another reference changes both, and counts for the new one.
    counted = Counter(reference_of(sessions.get(one.key)) for one in observations)
    left = {reference_of(known.sessions.get(one.key)) for one in observations}
    for key in sorted(key for key in {*counted, *left} if key is not None):
        yield _preview_one(key, counted[key], known.standings.get(key), standings.get(key))
    if counted[None]:
        yield Preview(None, "", observations[-1].snapshot.livemode, counted[None], None, None)


def in_words(standing: Standing | None) -> str:
    """A standing with everything that can change while its status stays; `-` for none."""
    if standing is None:
        return "-"
    parts = [standing.status]
    if standing.next_step != "none":
        parts.append(standing.next_step)
    if standing.attempts:
        parts.append(f"{standing.attempts} failed")
    if standing.redaction:
        parts.append(standing.redaction)
    return ", ".join(parts)


def _observations(letters: Iterable[FailedJob]) -> list[Observation]:
    found = []
    for letter in letters:
        with suppress(UnreadableEvent):
            found.append(SessionEvent.unpack(list(letter.payload.values())).observation())
    return found


def _look_up(observations: Sequence[Observation], ledger: Ledger) -> Known:
    parts = [ledger.look_up(batch) for batch in batches(observations, BATCH_SIZE)]
    return Known(
        applied_events=frozenset().union(*(part.applied_events for part in parts)),
        sessions={key: session for part in parts for key, session in part.sessions.items()},
        standings={key: standing for part in parts for key, standing in part.standings.items()},
    )


def _preview_one(
    key: ReferenceKey, letters: int, before: Standing | None, after: Standing | None
) -> Preview:
    return Preview(key.reference, key.account, key.livemode, letters, before, after, key.purpose)
