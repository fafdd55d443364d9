"""What we keep of a VerificationSession as Stripe showed it: no secret, no personal datum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.domain.fields import (
    ID,
    mapping,
    optional_mapping,
    optional_token,
    time,
    token,
    usable_reference,
)

# Where a reference was found: the greater outranks the lesser.
METADATA = 1
CLIENT_REFERENCE_ID = 2
# Read after the keys that a team has named; a claim writes the reference here if it named none.
LAST_METADATA_KEY = "client_reference_id"


class SessionKey(NamedTuple):
    """What identifies a session: a test-mode event never reaches a live session."""

    id: str
    account: str  # "" is the team's own account; Connect names another
    livemode: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fields we keep of a VerificationSession. `created` is in Unix seconds."""

    id: str
    account: str
    livemode: bool
    created: int
    type: str | None
    status: str
    last_error_code: str | None
    report: str | None  # the id of its last VerificationReport
    redaction: str | None
    reference: str | None
    reference_source: int  # METADATA or CLIENT_REFERENCE_ID; 0 without a reference

    @property
    def key(self) -> SessionKey:
        """What identifies the session."""
        return SessionKey(self.id, self.account, self.livemode)


def read_snapshot(
    session: Any, *, account: str, livemode: bool, metadata_keys: Sequence[str]
) -> Snapshot:
    """Minimise a VerificationSession object of Stripe's.

    `metadata_keys` are looked up in order if `client_reference_id` is null.
    Raises UnreadableEvent if a field does not have the form Stripe documents.
    """
    session = mapping(session, "the session")
    report = session.get("last_verification_report")
    reference, source = read_reference(session, metadata_keys)
    return Snapshot(
        id=token(session, "id", ID),
        account=account,
        livemode=livemode,
        created=time(session, "created"),
        type=optional_token(session, "type"),
        status=token(session, "status"),
        last_error_code=optional_token(optional_mapping(session, "last_error"), "code"),
        report=(  # an id, or the report itself if it was expanded
            token(report, "id")
            if isinstance(report, Mapping)
            else optional_token(session, "last_verification_report")
        ),
        redaction=optional_token(optional_mapping(session, "redaction"), "status"),
        reference=reference,
        reference_source=source,
    )


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
