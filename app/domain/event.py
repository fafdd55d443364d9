"""A Stripe event about a VerificationSession, cut down to what we may keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.errors import UnreadableEvent
from app.domain.fields import ID, flag, mapping, optional_token, time, token
from app.domain.session import Observation
from app.domain.snapshot import Snapshot, read_snapshot

TYPE_PREFIX = "identity.verification_session."
# https://docs.stripe.com/api/events/types: all of Identity's. `*` endpoints are not sent the last.
EVENT_TYPES = frozenset(
    TYPE_PREFIX + name
    for name in ("created", "processing", "requires_input", "verified", "canceled", "redacted")
)

# An event's type says which status was entered; `created` opens the session before any submission.
ENTERED_BY = {
    TYPE_PREFIX + "created": "requires_input",
    TYPE_PREFIX + "processing": "processing",
    TYPE_PREFIX + "requires_input": "requires_input",
    TYPE_PREFIX + "verified": "verified",
    TYPE_PREFIX + "canceled": "canceled",
}

# What an event is in the queue: values in this order, as names would take twice the room.
PACKED_FIELDS = (
    "id",
    "name",
    "created",
    "account",
    "livemode",
    "session_id",
    "status",
    "session_type",
    "session_created",
    "reference",
    "reference_source",
    "last_error_code",
    "report",
    "redaction",
)


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One minimised event. It holds no secret and no personal datum but the reference itself."""

    id: str
    type: str
    created: int  # Unix seconds
    snapshot: Snapshot

    @property
    def name(self) -> str:
        """The part of the type that routes: `created`, `processing`, …, `redacted`."""
        return self.type.removeprefix(TYPE_PREFIX)

    def observation(self) -> Observation:
        """What this event shows of its session."""
        return Observation(
            name=self.name,
            snapshot=self.snapshot,
            as_of=self.created,
            event_id=self.id,
            transition=ENTERED_BY.get(self.type) == self.snapshot.status,
        )

    def pack(self) -> list[Any]:
        """The JSON-able values of PACKED_FIELDS, for the queue; `unpack` gives the event again."""
        session = self.snapshot
        return [
            self.id,
            self.name,
            self.created,
            session.account,
            session.livemode,
            session.id,
            session.status,
            session.type,
            session.created,
            session.reference,
            session.reference_source,
            session.last_error_code,
            session.report,
            session.redaction,
        ]

    @classmethod
    def unpack(cls, values: Any) -> SessionEvent:
        """The event of `pack`. Raises UnreadableEvent for values of another form."""
        if not isinstance(values, list) or len(values) != len(PACKED_FIELDS):
            raise UnreadableEvent("the queued event does not have the fields of this version")
        id, name, created, account, livemode, session_id, status, type, session_created, *rest = (
            values
        )
        reference, reference_source, last_error_code, report, redaction = rest
        return cls(
            id=id,
            type=TYPE_PREFIX + name,
            created=created,
            snapshot=Snapshot(
                id=session_id,
                account=account,
                livemode=livemode,
                created=session_created,
                type=type,
                status=status,
                last_error_code=last_error_code,
                report=report,
                redaction=redaction,
                reference=reference,
                reference_source=reference_source,
            ),
        )

    @classmethod
    def parse(cls, body: Any, metadata_keys: Sequence[str] = ()) -> SessionEvent | None:
        """Minimise a decoded Stripe event. None if it is not one of ours.

        `metadata_keys` are looked up in order if `client_reference_id` is null.
        Raises UnreadableEvent if a field does not have the form Stripe documents.
        """
        event = mapping(body, "the body")
        if not isinstance(event.get("type"), str):
            raise UnreadableEvent("type is not a text")
        if event["type"] not in EVENT_TYPES:
            return None
        return cls(
            id=token(event, "id", ID),
            type=event["type"],
            created=time(event, "created"),
            snapshot=read_snapshot(
                mapping(mapping(event.get("data"), "data").get("object"), "data.object"),
                account=optional_token(event, "account") or "",
                livemode=flag(event, "livemode"),
                metadata_keys=metadata_keys,
            ),
        )
