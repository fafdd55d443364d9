"""A Stripe event about a VerificationSession, cut down to what we may keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import OtherMode, UnreadableEvent
from app.domain.fields import ACCOUNT_PATH, ID, flag, mapping, optional_token, time, token
from app.domain.options import pack_options, unpack_options
from app.domain.session import Observation
from app.domain.snapshot import NO_METADATA_KEYS, MetadataKeys, Snapshot, read_snapshot

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
    "verification_flow",
    "options",
    "session_created",
    "reference",
    "reference_source",
    "last_error_code",
    "report",
    "redaction",
    "purpose",
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
        # A redaction sends `canceled` again, of a session that was canceled long before as well.
        repeated = self.name == "canceled" and self.snapshot.redaction is not None
        return Observation(
            name=self.name,
            snapshot=self.snapshot,
            as_of=self.created,
            event_id=self.id,
            transition=ENTERED_BY.get(self.type) == self.snapshot.status and not repeated,
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
            # An empty text takes less room than a null.
            session.verification_flow or "",
            pack_options(session.options),
            session.created,
            session.reference,
            session.reference_source,
            session.last_error_code or "",
            session.report or "",
            session.redaction or "",
            session.purpose,
        ]

    @classmethod
    def unpack(cls, values: Any) -> SessionEvent:
        """The event of `pack`. Raises UnreadableEvent for values of another form."""
        if not isinstance(values, list) or len(values) != len(PACKED_FIELDS):
            raise UnreadableEvent("the queued event does not have the fields of this version")
        id, name, created, account, livemode, session_id, status, type, *rest = values
        flow, options, session_created, reference, reference_source, *outcome = rest
        last_error_code, report, redaction, purpose = outcome
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
                verification_flow=flow or None,
                options=unpack_options(options),
                status=status,
                last_error_code=last_error_code or None,
                report=report or None,
                redaction=redaction or None,
                reference=reference,
                reference_source=reference_source,
                purpose=purpose,
            ),
        )

    @classmethod
    def parse(
        cls, body: Any, metadata_keys: MetadataKeys = NO_METADATA_KEYS
    ) -> SessionEvent | None:
        """Minimise a decoded Stripe event. None if it is not one of ours.

        Raises UnreadableEvent if a field does not have the form Stripe documents, OtherMode if its
        session is of another mode.
        """
        event = mapping(body, "the body")
        if not isinstance(event.get("type"), str):
            raise UnreadableEvent("type is not a text")
        if event["type"] not in EVENT_TYPES:
            return None
        session = mapping(mapping(event.get("data"), "data").get("object"), "data.object")
        livemode = flag(event, "livemode")
        # Else a session of test mode, which anybody can verify, could count for a live one.
        if session.get("livemode", livemode) is not livemode:
            raise OtherMode("the event and its session name two modes")
        return cls(
            id=token(event, "id", ID),
            type=event["type"],
            created=time(event, "created"),
            snapshot=read_snapshot(
                session,
                account=account_of(event),
                livemode=livemode,
                metadata_keys=metadata_keys,
            ),
        )


def account_of(event: Mapping[str, Any]) -> str:
    """The account that an event is about, as calls to Stripe have to name it; "" is our own.

    Found in https://docs.stripe.com/changelog/basil/2025-04-30/additional-context-organization-events:
    `context` says which account of an organization generated the event, and an event of a connected
    account has `account` as well. Found in https://docs.stripe.com/context: of an account connected
    to a platform of an organization, the context is a path, `acct_platform/acct_connected`. Our
    reading, where nothing says: where there is a path, the last account alone would not be found by
    an organization's key, so the path counts; and an event of our own account has neither.

    Raises UnreadableEvent for another form.
    """
    account = optional_token(event, "account")
    context = optional_token(event, "context", ACCOUNT_PATH)
    if context is not None and (account is None or "/" in context):
        return context
    return account or ""
