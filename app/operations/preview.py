"""What a replay would change, by reference, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from app.domain.errors import UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.reference import Standing, resolve, succeed
from app.domain.session import Session, merge
from app.ledger.ledger import Ledger
from app.operations.batches import batches
from app.queue.dead_letters import DeadLetter

# Events that one statement asks for: databases limit its parameters.
AT_ONCE = 500

Key = tuple[str, bool, str]  # account, livemode, and a reference's or a session's id


@dataclass(frozen=True, slots=True)
class Preview:
    """One reference's standing now and after a replay of its letters."""

    reference: str | None  # None: letters of sessions that name no reference
    account: str
    livemode: bool
    letters: int
    before: Standing | None
    after: Standing | None

    @property
    def changes(self) -> bool:
        """Whether the reference would stand otherwise."""
        return self.before != self.after


def preview(letters: Iterable[DeadLetter], ledger: Ledger) -> Iterator[Preview]:
    """For each reference that the letters are about, what replaying them all would make of it.

    A letter that no version of ours can read counts for nobody: it would fail again.
    """
    told: dict[Key, dict[str, Session]] = {}  # the sessions as they would be, by reference
    numbers: Counter[Key] = Counter()
    orphans = 0
    livemode = False
    for (account, livemode, session_id), events in _by_session(letters).items():
        stored = ledger.read_session(session_id, account=account, livemode=livemode)
        session = _replayed(stored, events, ledger)
        # A session that a letter moves to another reference changes both.
        for one in (stored, session):
            if one is not None and session is not None and one.reference is not None:
                told.setdefault((account, livemode, one.reference), {})[session_id] = session
        if session is not None and session.reference is not None:
            numbers[account, livemode, session.reference] += len(events)
        else:
            orphans += len(events)
    for key in sorted(told):
        yield _preview_one(key, numbers[key], told[key], ledger)
    if orphans:
        yield Preview(None, "", livemode, orphans, None, None)


def _by_session(letters: Iterable[DeadLetter]) -> dict[Key, list[SessionEvent]]:
    events: dict[Key, list[SessionEvent]] = {}
    for letter in letters:
        with suppress(UnreadableEvent):
            event = SessionEvent.from_dict(letter.payload)
            events.setdefault((event.account, event.livemode, event.session_id), []).append(event)
    return events


def _replayed(
    session: Session | None, events: list[SessionEvent], ledger: Ledger
) -> Session | None:
    for batch in batches(events, AT_ONCE):
        applied = ledger.has_events([event.id for event in batch])
        for event in batch:
            if event.id not in applied:
                session = merge(session, event.observation())
    return session


def _preview_one(key: Key, letters: int, told: dict[str, Session], ledger: Ledger) -> Preview:
    account, livemode, reference = key
    record = ledger.read_reference(reference, account=account, livemode=livemode)
    before = record.standing if record and record.standing.version else None
    sessions = {session.id: session for session in record.sessions} if record else {}
    counted = [s for s in {**sessions, **told}.values() if s.reference == reference]
    after = succeed(before, resolve(counted)) if before or counted else None
    return Preview(reference, account, livemode, letters, before, after)
