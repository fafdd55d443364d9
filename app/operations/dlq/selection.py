"""Which dead letters a command is about: the filters of list, replay and discard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from app.queue.dead_letters import DeadLetter


@dataclass(frozen=True, slots=True)
class Selection:
    """The conditions for a letter; None: no condition. Ages are in seconds since its death."""

    reason: str | None = None
    status: str | None = None
    reference: str | None = None
    session: str | None = None
    older_than: float | None = None
    younger_than: float | None = None

    def matches(self, letter: DeadLetter, now: float) -> bool:
        """Whether the letter matches; `now` is in Unix seconds."""
        conditions = (
            (self.reason, letter.reason),
            (self.status, letter.payload.get("status")),
            (self.reference, letter.payload.get("reference")),
            (self.session, letter.payload.get("session_id")),
        )
        if any(wanted is not None and wanted != found for wanted, found in conditions):
            return False
        age = age_of(letter, now)
        return (self.older_than is None or age >= self.older_than) and (
            self.younger_than is None or age <= self.younger_than
        )

    def of(self, letters: Iterable[DeadLetter], now: float) -> Iterator[DeadLetter]:
        """The letters that match, in their order."""
        return (letter for letter in letters if self.matches(letter, now))


def age_of(letter: DeadLetter, now: float) -> float:
    """Seconds since the letter died; 0 if another tool failed it and left no time."""
    try:
        return max(0.0, now - datetime.fromisoformat(letter.last_failed_at).timestamp())
    except ValueError:
        return 0.0
