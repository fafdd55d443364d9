"""A Stripe event about a VerificationSession, cut down to what we may keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form for the queue; `from_dict` gives the event again."""
        session = self.snapshot
        return {
            "id": self.id,
            "type": self.type,
            "created": self.created,
            "account": session.account,
            "livemode": session.livemode,
            "session_id": session.id,
            "status": session.status,
            "session_type": session.type,
            "session_created": session.created,
            "reference": session.reference,
            "reference_source": session.reference_source,
            "last_error_code": session.last_error_code,
            "report": session.report,
            "redaction": session.redaction,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SessionEvent:
        """The event of `to_dict`. Raises UnreadableEvent if the fields are not its fields."""
        if not isinstance(fields, Mapping) or fields.keys() != QUEUED_FIELDS:
            raise UnreadableEvent("the queued event does not have the fields of this version")
        return cls(
            id=fields["id"],
            type=fields["type"],
            created=fields["created"],
            snapshot=Snapshot(
                id=fields["session_id"],
                account=fields["account"],
                livemode=fields["livemode"],
                created=fields["session_created"],
                type=fields["session_type"],
                status=fields["status"],
                last_error_code=fields["last_error_code"],
                report=fields["report"],
                redaction=fields["redaction"],
                reference=fields["reference"],
                reference_source=fields["reference_source"],
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


QUEUED_FIELDS = frozenset(
    {
        "id",
        "type",
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
    }
)
