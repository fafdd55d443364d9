"""What we keep of a VerificationSession as Stripe showed it: no secret, no personal datum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from app.domain.fields import (
    ID,
    PURPOSE,
    mapping,
    optional_mapping,
    optional_token,
    time,
    token,
    usable_reference,
)
from app.domain.options import read_options

# Where a reference was found: the greater outranks the lesser.
METADATA = 1
CLIENT_REFERENCE_ID = 2
# Read after the keys that a team has named; a claim writes the reference here if it named none.
LAST_METADATA_KEY = "client_reference_id"


class MetadataKeys(NamedTuple):
    """Where in a session's metadata the team puts what Stripe has no field for."""

    references: tuple[str, ...] = ()  # looked up in order if `client_reference_id` is null
    purpose: str | None = None  # None: every session is for the default purpose


NO_METADATA_KEYS = MetadataKeys()


class SessionKey(NamedTuple):
    """What identifies a session: a test-mode event never reaches a live session."""

    id: str
    account: str  # "" is the team's own account; Connect names another
    livemode: bool


class Snapshot(NamedTuple):
    """The fields we keep of a VerificationSession. `created` is in Unix seconds."""

    id: str
    account: str
    livemode: bool
    created: int
    type: str | None
    verification_flow: str | None
    options: str | None  # those that decide how strong the check is, see `read_options`
    status: str
    last_error_code: str | None
    report: str | None  # the digest of its last VerificationReport's id
    redaction: str | None
    reference: str | None
    reference_source: int  # METADATA or CLIENT_REFERENCE_ID; 0 without a reference
    purpose: str = ""  # "" is the default one

    @property
    def key(self) -> SessionKey:
        """What identifies the session."""
        return SessionKey(self.id, self.account, self.livemode)


def read_snapshot(
    session: Any, *, account: str, livemode: bool, metadata_keys: MetadataKeys
) -> Snapshot:
    """Minimise a VerificationSession object of Stripe's.

    Raises UnreadableEvent if a field does not have the form Stripe documents.
    """
    session = mapping(session, "the session")
    redaction = optional_token(optional_mapping(session, "redaction"), "status")
    purpose = read_purpose(session, metadata_keys, redaction)
    reference, source = (
        (None, 0) if purpose is None else read_reference(session, metadata_keys.references)
    )
    return Snapshot(
        id=token(session, "id", ID),
        account=account,
        livemode=livemode,
        created=time(session, "created"),
        type=optional_token(session, "type"),
        verification_flow=optional_token(session, "verification_flow"),
        options=read_options(session),
        status=token(session, "status"),
        last_error_code=optional_token(optional_mapping(session, "last_error"), "code"),
        report=read_report(session),
        redaction=redaction,
        reference=reference,
        reference_source=source,
        purpose=purpose or "",
    )


def read_report(session: Mapping[str, Any]) -> str | None:
    """The digest of its last VerificationReport's id; None if it has none.

    It only tells one attempt from another, and what outlives a redaction must not lead to the
    report. So the id itself is kept nowhere.
    """
    report = session.get("last_verification_report")
    if report is None:
        return None
    expanded = isinstance(report, Mapping)
    id = token(report, "id") if expanded else token(session, "last_verification_report")
    return sha256(id.encode()).hexdigest()[:32]


def read_reported_at(session: Mapping[str, Any]) -> int | None:
    """When its last VerificationReport was made, in Unix seconds; None if it is not expanded."""
    report = session.get("last_verification_report")
    return time(report, "created") if isinstance(report, Mapping) else None


def read_purpose(
    session: Mapping[str, Any], metadata_keys: MetadataKeys, redaction: str | None
) -> str | None:
    """What the session is for, "" by default; None if that cannot be known.

    A verification for one purpose must never count for another. So a session whose purpose has not
    the form of one names no reference: it is an orphan, which is listed, and can be claimed. Nor
    does a redacted session whose metadata is gone ("the metadata field will also be erased",
    https://docs.stripe.com/api/identity/verification_sessions/redact): it stays what it was.
    """
    if metadata_keys.purpose is None:
        return ""
    metadata = session.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata:
        return "" if redaction is None else None
    purpose = metadata.get(metadata_keys.purpose)
    if purpose is None or purpose == "":
        return ""
    return purpose if isinstance(purpose, str) and PURPOSE.match(purpose) else None


def read_reference(
    session: Mapping[str, Any], metadata_keys: Sequence[str]
) -> tuple[str | None, int]:
    """The reference that a session names, and where: (None, 0) if it names none.

    A value that cannot name a user leaves the session an orphan, and it is listed as one.
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
