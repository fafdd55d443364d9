"""A Stripe event about a VerificationSession, cut down to what we may keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.domain.errors import UnreadableEvent
from app.domain.session import CLIENT_REFERENCE_ID, METADATA, Observation

TYPE_PREFIX = "identity.verification_session."
# https://docs.stripe.com/api/events/types: all of Identity's. `*` endpoints are not sent the last.
EVENT_TYPES = frozenset(
    TYPE_PREFIX + name
    for name in ("created", "processing", "requires_input", "verified", "canceled", "redacted")
)

# Stripe's ids and enum values. What is not of this form is not Stripe's, and could carry anything.
TOKEN = re.compile(r"[A-Za-z0-9_.\-]{1,255}\Z")
# Ids become part of RQ's job ids, which allow no dot.
ID = re.compile(r"[A-Za-z0-9_\-]{1,255}\Z")
LONGEST_REFERENCE = 5_000  # characters: Stripe's limit on client_reference_id
# Read after all the keys a team has named: a claim writes the reference here if it has named none.
LAST_METADATA_KEY = "client_reference_id"
LATEST_TIME = 253_402_300_799  # the last second of the year 9999

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
    created: int
    account: str  # "" is the team's own account; Connect names another
    livemode: bool
    session_id: str
    status: str
    session_type: str | None
    session_created: int
    reference: str | None
    reference_source: int
    last_error_code: str | None
    report: str | None
    redaction: str | None

    @property
    def name(self) -> str:
        """The part of the type that routes: `created`, `processing`, …, `redacted`."""
        return self.type.removeprefix(TYPE_PREFIX)

    def observation(self) -> Observation:
        """What this event lets us see of its session."""
        return Observation(
            name=self.name,
            session_id=self.session_id,
            account=self.account,
            livemode=self.livemode,
            created=self.session_created,
            type=self.session_type,
            status=self.status,
            last_error_code=self.last_error_code,
            report=self.report,
            redaction=self.redaction,
            reference=self.reference,
            reference_source=self.reference_source,
            as_of=self.created,
            event_id=self.id,
            transition=ENTERED_BY.get(self.type) == self.status,
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form for the queue; `from_dict` gives the event again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SessionEvent:
        """The event of `to_dict`. Raises UnreadableEvent where the fields are not those."""
        try:
            return cls(**fields)
        except TypeError as error:
            raise UnreadableEvent("the queued event has not the fields of this version") from error

    @classmethod
    def parse(cls, body: Any, metadata_keys: Sequence[str] = ()) -> SessionEvent | None:
        """Minimise a decoded Stripe event. None where it is not one of ours.

        `metadata_keys` are looked up in order where `client_reference_id` is null.
        Raises UnreadableEvent where a field has not the form Stripe documents.
        """
        event = _mapping(body, "the body")
        if not isinstance(event.get("type"), str):
            raise UnreadableEvent("type is not a text")
        if event["type"] not in EVENT_TYPES:
            return None
        session = _mapping(_mapping(event.get("data"), "data").get("object"), "data.object")
        reference, source = read_reference(session, metadata_keys)
        return cls(
            id=_token(event, "id", ID),
            type=event["type"],
            created=_time(event, "created"),
            account=_optional_token(event, "account") or "",
            livemode=_flag(event, "livemode"),
            reference=reference,
            reference_source=source,
            **read_session(session),
        )


def api_answer(
    session: Mapping[str, Any], *, account: str, date: int, metadata_keys: Sequence[str] = ()
) -> Observation:
    """What an API answer lets us see of a session; `date` is its Date header in Unix seconds.

    It counts for the second before, so it never outranks an event of its own second.
    Raises UnreadableEvent where a field has not the form Stripe documents.
    """
    fields = read_session(session)
    reference, source = read_reference(session, metadata_keys)
    return Observation(
        name="redacted" if fields["redaction"] == "redacted" else fields["status"],
        session_id=fields["session_id"],
        account=account,
        livemode=_flag(session, "livemode"),
        created=fields["session_created"],
        type=fields["session_type"],
        status=fields["status"],
        last_error_code=fields["last_error_code"],
        report=fields["report"],
        redaction=fields["redaction"],
        reference=reference,
        reference_source=source,
        as_of=date - 1,
        event_id="",
        transition=False,
    )


def read_session(session: Mapping[str, Any]) -> dict[str, Any]:
    """The fields we keep of a VerificationSession object, by SessionEvent's names.

    Raises UnreadableEvent where one has not the form Stripe documents.
    """
    session = _mapping(session, "the session")
    report = session.get("last_verification_report")
    return {
        "session_id": _token(session, "id", ID),
        "status": _token(session, "status"),
        "session_type": _optional_token(session, "type"),
        "session_created": _time(session, "created"),
        "last_error_code": _optional_token(_optional_mapping(session, "last_error"), "code"),
        "report": (  # an id, or the report itself where it was expanded
            _token(report, "id")
            if isinstance(report, Mapping)
            else _optional_token(session, "last_verification_report")
        ),
        "redaction": _optional_token(_optional_mapping(session, "redaction"), "status"),
    }


def read_reference(
    session: Mapping[str, Any], metadata_keys: Sequence[str]
) -> tuple[str | None, int]:
    """The reference a session names and where it stands: (None, 0) where it names none.

    A value that no database can hold (a NUL, a lone surrogate) or that is longer than Stripe
    allows cannot name a user: the session is an orphan, and is listed as one.
    """
    found = usable_reference(session.get("client_reference_id"))
    if found is not None:
        return found, CLIENT_REFERENCE_ID
    metadata = session.get("metadata")
    if isinstance(metadata, Mapping):
        for key in (*metadata_keys, LAST_METADATA_KEY):
            found = usable_reference(metadata.get(key))
            if found is not None:
                return found, METADATA
    return None, 0


def usable_reference(value: object) -> str | None:
    """`value` where it can name a user in every store, else None."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_REFERENCE or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnreadableEvent(f"{where} is not an object")
    return value


def _optional_mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {} if fields.get(name) is None else _mapping(fields[name], name)


def _token(fields: Mapping[str, Any], name: str, form: re.Pattern[str] = TOKEN) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not form.match(value):
        raise UnreadableEvent(f"{name} is not of the form Stripe documents")
    return value


def _optional_token(fields: Mapping[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else _token(fields, name)


def _time(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= LATEST_TIME:
        raise UnreadableEvent(f"{name} is not a time in whole seconds")
    return value


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise UnreadableEvent(f"{name} is not true or false")
    return value
