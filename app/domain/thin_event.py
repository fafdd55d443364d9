"""Thin events: they name a session and show nothing of it; Stripe is asked for what is true.

The form is that of the stripe package (`stripe.v2.core.EventNotification`, and for each type
`stripe.events.V1IdentityVerificationSession…EventNotification`): `created` is a text by ISO 8601,
`related_object` names the session, `context` the account, if it is not the destination's own.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import UnreadableEvent
from app.domain.event import (
    EVENT_TYPES,
    PACKED_FIELDS,
    TYPE_PREFIX,
    SessionEvent,
    account_of,
)
from app.domain.fields import ID, flag, mapping, token
from app.domain.snapshot import NO_METADATA_KEYS, MetadataKeys, SessionKey

THIN_PREFIX = "v1."
THIN_TYPES = frozenset(THIN_PREFIX + name for name in EVENT_TYPES)
# As Stripe writes it, in UTC: `2026-11-25T04:30:00.000Z`. There was no Stripe before 1970.
ISO_TIME = re.compile(
    r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.[0-9]{1,9})?Z\Z"
)
# What a thin event is in the queue: an event's first values, and none of the session's.
THIN_FIELDS = PACKED_FIELDS[:6]
# Types of Stripe Identity's begin so: one that is not known here may be one that Stripe has added.
IDENTITY = ("identity.", THIN_PREFIX + "identity.")


@dataclass(frozen=True, slots=True)
class ThinEvent:
    """One thin event, minimised."""

    id: str
    name: str  # the part of the type that routes: `created`, `processing`, …, `redacted`
    created: int  # Unix seconds
    session: SessionKey

    def pack(self) -> list[Any]:
        """The JSON-able values of THIN_FIELDS, for the queue; `unpack` gives the event again."""
        session = self.session
        return [self.id, self.name, self.created, session.account, session.livemode, session.id]

    @classmethod
    def unpack(cls, values: list[Any]) -> ThinEvent:
        """The event of `pack`. Raises UnreadableEvent for values of another form."""
        if len(values) != len(THIN_FIELDS):
            raise UnreadableEvent("the queued event does not have the fields of this version")
        id, name, created, account, livemode, session_id = values
        return cls(id, name, created, SessionKey(session_id, account, livemode))

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> ThinEvent:
        """Minimise a decoded thin event, of one of THIN_TYPES.

        Raises UnreadableEvent if a field does not have the form Stripe documents.
        """
        return cls(
            id=token(event, "id", ID),
            name=event["type"].removeprefix(THIN_PREFIX + TYPE_PREFIX),
            created=_time(event),
            session=SessionKey(
                id=token(mapping(event.get("related_object"), "related_object"), "id", ID),
                account=account_of(event),
                livemode=flag(event, "livemode"),
            ),
        )


@dataclass(frozen=True, slots=True)
class UnknownType:
    """An event of Stripe Identity's of a type that is not known here: ignored, but not unsaid."""

    type: str


Delivered = SessionEvent | ThinEvent | UnknownType


def parse_delivery(body: Any, metadata_keys: MetadataKeys = NO_METADATA_KEYS) -> Delivered | None:
    """Minimise a decoded delivery of either kind. None if it is not about Stripe Identity.

    Raises UnreadableEvent if a field does not have the form Stripe documents.
    """
    event = SessionEvent.parse(body, metadata_keys)
    if event is not None:
        return event
    type = body["type"]
    if type in THIN_TYPES:
        return ThinEvent.parse(body)
    return UnknownType(token(body, "type")) if type.startswith(IDENTITY) else None


def _time(event: Mapping[str, Any]) -> int:
    """`created` in Unix seconds."""
    value = event.get("created")
    found = ISO_TIME.match(value) if isinstance(value, str) else None
    if found is None:
        raise UnreadableEvent("created is not a time by ISO 8601")
    year, month, day, hour, minute, second = map(int, found.groups())
    return timegm((year, month, day, hour, minute, second, 0, 0, 0))
