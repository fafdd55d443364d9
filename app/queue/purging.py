"""Take the person out of what the queue of events still holds of a redacted session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.errors import LaterRelease
from app.domain.snapshot import SessionKey
from app.queue.model import EVENTS, decode, encode, named
from app.queue.transitions import JobQueue

# What an event keeps: the ledger knows whose session it is.
BARE = {"reference": None, "reference_source": 0}


def purge_sessions(events: JobQueue, session_ids: Sequence[str]) -> int:
    """Take the reference out of the sessions' dead and deferred events; returns of how many.

    Costs what there is of these sessions. What is queued or in work is left: it ends soon, or dies
    or is deferred, and is looked at then. Raises QueueUnavailable.
    """
    purged = 0
    for id, data in events.held_of(session_ids).items():
        bare = without_reference(data)
        if bare is not None:
            purged += events.rewrite(id, bare)
    return purged


def session_of(data: bytes) -> SessionKey | None:
    """The session of an event's job that names a reference; None if it names none."""
    try:
        payload = payload_of(data)
    except LaterRelease:
        return None
    if not payload or payload["reference"] is None:
        return None
    return SessionKey(
        str(payload["session_id"]), str(payload["account"]), bool(payload["livemode"])
    )


def without_reference(data: bytes) -> bytes | None:
    """What an event's job calls, without the reference it names; None if it names none.

    Of a form that cannot be read nothing is kept: it could hold anything. What a later release
    wrote is its own to purge: it is here for as long as an upgrade takes.
    """
    try:
        payload = payload_of(data)
    except LaterRelease:
        return None
    if not payload:
        empty = encode(EVENTS.function, [])
        return None if data == empty else empty
    if payload["reference"] is None:
        return None
    return encode(EVENTS.function, [BARE.get(name, payload[name]) for name in payload])


def payload_of(data: bytes) -> Mapping[str, Any]:
    """An event's values by name; empty if they are of no form. Raises LaterRelease."""
    try:
        _, arguments = decode(data)
    except (ValueError, TypeError, RecursionError):
        return {}
    payload = named(EVENTS, arguments[0]) if arguments else {}
    return payload if payload.keys() == set(EVENTS.fields) else {}
