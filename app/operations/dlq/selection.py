"""Which dead letters a command is about: the filters of list, replay and discard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from redis import Redis

from app.domain.standing import ReferenceKey
from app.queue.model import EFFECTS, EVENTS
from app.queue.registry import moment_of, queues_of


class FailedJob(Protocol):
    """What a dead letter and a deferred job have in common."""

    @property
    def id(self) -> str:
        """The job's."""

    @property
    def reason(self) -> str:
        """Why it died, or waits."""

    @property
    def last_failed_at(self) -> str:
        """When, in ISO 8601; "" if another tool failed it."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """By name; empty if no version of ours can read it."""


Job = TypeVar("Job", bound=FailedJob)


@dataclass(frozen=True, slots=True)
class Selection:
    """The conditions for a letter; None: no condition. Ages are in seconds since it last failed."""

    reason: str | None = None
    status: str | None = None
    reference: str | None = None
    purpose: str | None = None  # of the reference; None: of an event's any, of the others' ""
    session: str | None = None
    older_than: float | None = None
    younger_than: float | None = None

    def matches(self, letter: FailedJob, now: float) -> bool:
        """Whether the letter matches; `now` is in Unix seconds."""
        conditions = (
            (self.reason, letter.reason),
            (self.status, letter.payload.get("status")),
            (self.session, letter.payload.get("session_id")),
        )
        if any(wanted is not None and wanted != found for wanted, found in conditions):
            return False
        if self.reference is not None and not self._is_about(self.reference, letter.payload):
            return False
        age = age_of(letter, now)
        return (self.older_than is None or age >= self.older_than) and (
            self.younger_than is None or age <= self.younger_than
        )

    def of(self, letters: Iterable[Job], now: float) -> Iterator[Job]:
        """The letters that match, in their order."""
        return (letter for letter in letters if self.matches(letter, now))

    def _is_about(self, reference: str, payload: Mapping[str, Any]) -> bool:
        """Whether a letter names the reference: an event by its text, a notification by its key."""
        key = payload.get("reference_key")
        if key is None:
            same_purpose = self.purpose in (None, payload.get("purpose", ""))
            return same_purpose and payload.get("reference") == reference
        account, livemode = str(payload.get("account", "")), bool(payload.get("livemode"))
        return bool(key == ReferenceKey(account, livemode, reference, self.purpose or "").digest)


def age_of(letter: FailedJob, now: float) -> float:
    """Seconds since the letter last failed; 0 if another tool failed it and left no time."""
    return max(0.0, now - moment_of(letter.last_failed_at, now))


def queues_of_ids(redis: Redis, ids: Sequence[str]) -> dict[str, str]:
    """The queue that each id is of.

    What Redis no longer holds is told by its form: an effect's id is that of its cause, and `-`
    with its kind. Raises QueueUnavailable.
    """
    known = zip(ids, queues_of(redis, ids), strict=True)
    return {id: found or (EFFECTS.name if "-" in id else EVENTS.name) for id, found in known}
