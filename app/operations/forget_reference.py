"""Forget a user as a whole: in the ledger, the dead letters and the stream; no tombstone stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.batches import batches
from app.domain.errors import Rejected, Transient
from app.domain.session import Session
from app.domain.standing import ReferenceKey
from app.ledger.forgetting import Person, find_person, forget_person
from app.notifications import stream
from app.operations.return_urls import ReturnUrls
from app.queue.connection import translated_errors
from app.queue.purging import payload_of
from app.queue.waiting import waiting
from app.stores import Stores

BATCH_SIZE = 100


class StillAtStripe(Rejected):
    """Stripe has not redacted all of the user's sessions: what it tells of them would come back."""


class StillQueued(Transient):
    """Events of the user wait in the queue, and would bring the user back when they are applied."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was removed."""

    sessions: int
    dead_letters: int
    stream_messages: int


def person_of(stores: Stores, reference: ReferenceKey) -> Person:
    """What the ledger holds of the user. Raises the ledger's errors."""
    return find_person(stores.engine, reference)


def forget_reference(
    stores: Stores, reference: ReferenceKey, *, force: bool, now: int
) -> Forgotten:
    """Remove all of the user, of every purpose; `force` although Stripe has not redacted all.

    The ledger comes last: what fails before it can be done again. `now` is in Unix seconds. Raises
    StillAtStripe, StillQueued, QueueUnavailable and the ledger's errors.
    """
    person = person_of(stores, reference)
    left = [one.id for one in person.sessions if not _is_over(one, person)]
    if left and not force:
        raise StillAtStripe(
            f"{len(left)} session(s) are not redacted at Stripe: {', '.join(left[:5])}. Run "
            "`references redact`, wait until Stripe has finished (up to four days), then run this "
            "again; or give --force, and whatever Stripe still tells of them brings the user back"
        )
    meant = _Meant(reference, person)
    queued = sum(meant.job(data) for page in waiting(stores.events) for data in page.values())
    if queued:
        raise StillQueued(
            f"{queued} event(s) of the user are still to be applied: run this again when they are "
            "(a deferred one is tried for nine hours; then it is a dead letter, which this removes)"
        )
    letters = _discard(stores, meant)
    messages = 0
    if stores.settings.notify_stream is not None:
        with translated_errors():
            messages = stream.remove(stores.redis, stores.settings.notify_stream, meant.message)
    ReturnUrls(stores.redis).forget([session.key for session in person.sessions])
    forgotten = forget_person(stores.engine, reference, now)
    return Forgotten(len(forgotten.sessions), letters, messages)


def _is_over(session: Session, person: Person) -> bool:
    """Whether Stripe has nothing more to tell of it, nor anything to redact."""
    if session.snapshot.redaction == "redacted" or session.id in person.missing:
        return True
    return session.status == "canceled" and not session.submitted


@dataclass(frozen=True, slots=True)
class _Meant:
    """What is about the user."""

    reference: ReferenceKey
    person: Person

    def job(self, data: bytes) -> bool:
        """An event's job, by what it calls."""
        return self.payload(payload_of(data))

    def payload(self, payload: Mapping[str, Any]) -> bool:
        """A job's arguments, by name."""
        if payload.get("reference_key") in self.person.keys:
            return True
        where = (payload.get("account"), payload.get("livemode"))
        if where != (self.reference.account, self.reference.livemode):
            return False
        if payload.get("reference") is not None:
            return bool(payload["reference"] == self.reference.reference)
        return payload.get("session_id") in {session.id for session in self.person.sessions}

    def message(self, data: Mapping[str, Any]) -> bool:
        """A message of the stream, by its `data`."""
        return self.reference[:3] == (
            data.get("account"),
            data.get("livemode"),
            data.get("client_reference_id"),
        )


def _discard(stores: Stores, meant: _Meant) -> int:
    removed = 0
    for queue in (stores.events, stores.effects):
        letters = stores.dead_letters(queue.spec.name)
        ids = (letter.id for letter in letters if meant.payload(letter.payload))
        for batch in batches(ids, BATCH_SIZE):
            removed += queue.discard(batch)
    return removed
