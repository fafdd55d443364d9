"""What a replay would change, by reference, without doing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.domain.errors import UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.reference import Standing, resolve, succeed
from app.domain.session import merge
from app.ledger.ledger import Ledger
from app.queue.dead_letters import DeadLetter

Key = tuple[str, bool, str]


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
    events: dict[Key | None, list[SessionEvent]] = {}
    for letter in letters:
        try:
            event = SessionEvent.from_dict(letter.payload)
        except UnreadableEvent:
            continue
        known = event.reference or ledger.reference_of(
            event.session_id, account=event.account, livemode=event.livemode
        )
        key = (event.account, event.livemode, known) if known else None
        events.setdefault(key, []).append(event)
    orphans = events.pop(None, [])
    for key in sorted(key for key in events if key is not None):
        yield _preview_one(key, events[key], ledger)
    if orphans:
        yield Preview(None, "", orphans[0].livemode, len(orphans), None, None)


def _preview_one(key: Key, events: list[SessionEvent], ledger: Ledger) -> Preview:
    account, livemode, reference = key
    record = ledger.read_reference(reference, account=account, livemode=livemode)
    sessions = {session.id: session for session in record.sessions} if record else {}
    before = record.standing if record and record.standing.version else None
    applied = ledger.has_events([event.id for event in events])
    for event in events:
        if event.id not in applied:
            sessions[event.session_id] = merge(sessions.get(event.session_id), event.observation())
    after = succeed(before, resolve(list(sessions.values()))) if sessions else before
    return Preview(reference, account, livemode, len(events), before, after)
