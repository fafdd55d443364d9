"""Find what an id or a reference leads to, in ledger and Redis, in any account and mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from app.domain.errors import Rejected, StoreFailure
from app.domain.fields import ID, usable_reference
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger.look_ups import MAX_FOUND, LookUps
from app.operations.sweep import ask_stripe
from app.queue.registry import queues_of
from app.stores import Stores

Place = Literal["reference", "session", "event", "dead_letters", "deferred", "queue"]
# RQ's states of a job, in words. What is scheduled and not deferred is not due yet.
IN_QUEUE = {
    "queued": "waits for a worker",
    "started": "is being worked on",
    "scheduled": "is not due yet",
    "finished": "was done in the last hour",
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One place that was found, and what is there."""

    place: Place
    id: str  # of the session, the event or the job; "" of a reference
    status: str  # of the standing or the session; else in words
    of: ReferenceKey | None = None  # whose it is, with "" for an orphan's; None of event and job
    queue: str = ""  # of a job

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "place": self.place,
            "id": self.id,
            "status": self.status,
            "account": self.of and self.of.account,
            "livemode": self.of and self.of.livemode,
            "client_reference_id": self.of and (self.of.reference or None),
            "purpose": self.of and self.of.purpose,
            "queue": self.queue,
        }


@dataclass(slots=True)
class Found:
    """What was found, and where it was looked for."""

    query: str
    hits: list[Hit] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)  # what could not be looked at, and why

    def look(self, what: str, read: Callable[[], list[Hit]]) -> None:
        """Look at one place more. A store that is away keeps no other from being looked at."""
        try:
            self.hits += read()
        except StoreFailure as failure:
            self.away.append(f"{what}: {failure}")
        else:
            self.looked_at.append(what)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "query": self.query,
            "hits": [hit.as_json() for hit in self.hits],
            "looked_at": self.looked_at,
            "away": self.away,
        }


def find(stores: Stores, query: str) -> Found:
    """All that the query leads to: an `evt_…`, a `vs_…`, the id of an effect, or a reference.

    The ledger keeps no report's id, so a `vr_…` is only looked for as a reference. Raises nothing
    for a store that is away: `away` says so.
    """
    text = query.strip()
    found = Found(text)
    look_ups = LookUps(stores.engine)
    if ID.match(text):
        if text.startswith("vs_"):
            found.look("sessions", partial(_sessions, look_ups, text))
            if not found.hits:
                found.look("failed events of the session", partial(_held, stores, text))
        elif not text.startswith("vr_"):
            found.look("events", partial(_event, stores, look_ups, text))
            found.look("jobs in Redis", partial(_job, stores, text, known=bool(found.hits)))
    # As it was typed too: a reference may begin or end with a space.
    wanted = [one for one in dict.fromkeys((text, query)) if usable_reference(one) is not None]
    if text and wanted:
        found.look("references", partial(_references, look_ups, wanted))
    return found


def ask_for(stores: Stores, id: str, account: str, now: float) -> str | None:
    """Ask Stripe for a session (vs_…), or which one a report (vr_…) is of; gives the session's id.

    The session is brought into the ledger, in the mode of the key, as any answer of Stripe's is.
    None: Stripe does not know it. `now` is in Unix seconds. Raises Misconfigured without an API
    key, Rejected for another id, OtherAccount, StripeFailure and the ledger's errors.
    """
    stripe = stores.require_stripe()
    if not ID.match(id) or not id.startswith(("vs_", "vr_")):
        raise Rejected("Stripe can be asked for a vs_… or a vr_… here")
    if id.startswith("vr_"):
        report = stripe.get_report(id, {}, account).body
        id = str(report.get("verification_session") or "")
        if not ID.match(id):
            return None  # a report that was made without a session
    key = SessionKey(id, account, stores.settings.livemode)
    return id if ask_stripe(key, stores, now) else None


def _event(stores: Stores, look_ups: LookUps, id: str) -> list[Hit]:
    """Where the event has led to: its session."""
    event = look_ups.event(id)
    if event is None:
        discarded = stores.ledger.discarded([id])
        return [Hit("event", id, "discarded by an operator")] if discarded else []
    session = event.session
    hits = [
        hit
        for hit in _sessions(look_ups, session.id)
        if hit.of is not None and hit.of[:2] == (session.account, session.livemode)
    ]
    return hits or [Hit("event", id, "applied; its session was forgotten since")]


def _sessions(look_ups: LookUps, id: str) -> list[Hit]:
    return [
        Hit(
            "session",
            id,
            found.status,
            found.reference or ReferenceKey(found.key.account, found.key.livemode, ""),
        )
        for found in look_ups.sessions(id)
    ]


def _held(stores: Stores, session_id: str) -> list[Hit]:
    """The session's events that are dead or deferred."""
    ids = sorted(stores.events.held_of([session_id]))
    return [hit for id in ids[:MAX_FOUND] for hit in _job(stores, id, known=False)]


def _references(look_ups: LookUps, wanted: Sequence[str]) -> list[Hit]:
    return [
        Hit("reference", "", found.status, found.key)
        for reference in wanted
        for found in look_ups.references(reference)
    ]


def _job(stores: Stores, id: str, *, known: bool) -> list[Hit]:
    """The job, if Redis has it; not one that was done, if what it did is `known`."""
    (queue,) = queues_of(stores.redis, [id])
    if queue is None:
        return []
    letter = stores.dead_letters(queue).find(id)
    if letter is not None:
        return [Hit("dead_letters", id, f"dead: {letter.reason}", queue=queue)]
    waiting = stores.deferred(queue).find(id)
    if waiting is not None:
        status = f"failed, and is tried again: {waiting.error_class}"
        return [Hit("deferred", id, status, queue=queue)]
    state = stores.queue(queue).statuses([id])[id]
    if state not in IN_QUEUE or (known and state == "finished"):
        return []
    return [Hit("queue", id, IN_QUEUE[state], queue=queue)]
