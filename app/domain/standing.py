"""What the ledger says of a reference: its standing, from all its sessions."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

from app.domain.session import Session


class ReferenceKey(NamedTuple):
    """What identifies a reference: one user of one account and one mode, for one purpose."""

    account: str  # "" is the team's own account; Connect names another
    livemode: bool
    reference: str
    purpose: str = ""  # "" is the default one

    @property
    def digest(self) -> str:
        """A fixed-size form for stores: 64 hexadecimal digits."""
        return _digest(self)


@lru_cache(maxsize=4096)  # a batch asks for each of its few hundred keys several times
def _digest(key: ReferenceKey) -> str:
    # JSON quotes, so no two keys share an encoding.
    return sha256(json.dumps(key).encode()).hexdigest()


class Standing(NamedTuple):
    """The outcome for one reference. Times are Unix seconds."""

    status: str  # Stripe's four; `expired`; or "none" if every session has moved elsewhere
    session_id: str | None
    since: int | None
    verified_at: int | None
    attempts: int
    last_error_code: str | None
    next_step: str
    redaction: str | None
    # The level of the check that the deciding session asked for.
    type: str | None = None
    verification_flow: str | None = None
    options: str | None = None  # canonical JSON, see `read_options`
    version: int = 0  # grows with each change, and never otherwise
    attempts_counted: int = 0  # those that count against MAX_ATTEMPTS
    attempts_granted: int = 0  # how many more an operator has allowed
    verified_until: int | None = None  # None: for ever, or not verified

    def exhausts(self, limit: int | None) -> bool:
        """Whether MAX_ATTEMPTS, if there is such a `limit`, leaves no attempt."""
        return limit is not None and self.attempts_counted >= limit + self.attempts_granted

    def as_json(self) -> dict[str, Any]:
        """Its fields for readers: `options` as Stripe has them."""
        options = None if self.options is None else json.loads(self.options)
        return {**self._asdict(), "options": options}


_without_version = itemgetter(
    *(place for place, name in enumerate(Standing._fields) if name != "version")
)

NO_SESSIONS = Standing("none", None, None, None, 0, None, "submit", None)


class Expiry(NamedTuple):
    """REVERIFY_AFTER_DAYS in seconds, None if it is off, and the time now."""

    after: int | None
    now: int

    def until(self, verified_at: int) -> int | None:
        """Until when a verification of then is valid; None: for ever."""
        return None if self.after is None else verified_at + self.after

    def is_over(self, session: Session) -> bool:
        """Whether the verification of a verified session is valid no more."""
        return self.after is not None and session.status_since + self.after <= self.now


NEVER = Expiry(None, 0)


def resolve(sessions: Collection[Session], expiry: Expiry = NEVER) -> Standing:
    """The standing that a set of sessions gives, in whatever order; its version is 0.

    Any verified session: verified, by the one verified last. Else the newest that is not
    canceled, else the newest canceled. A session whose verification is over verifies no more: where
    none is newer and not canceled, the standing is `expired`.
    """
    if not sessions:
        return NO_SESSIONS
    verified = [session for session in sessions if session.status == "verified"]
    valid = [one for one in verified if not expiry.is_over(one)] if expiry.after else verified
    if verified and not valid:
        return _resolve_expired(sessions, max(verified, key=_verified_last), expiry)
    if valid:
        decisive = max(valid, key=_verified_last)
    else:
        open_sessions = [session for session in sessions if session.status != "canceled"]
        decisive = max(open_sessions or sessions, key=_newest)
    return _decided_by(decisive, sessions, expiry)


def _resolve_expired(sessions: Collection[Session], last: Session, expiry: Expiry) -> Standing:
    """The standing without what has expired; `last` is the session that was verified last."""
    newer = [
        session
        for session in sessions
        if session.status not in ("verified", "canceled") and _newest(session) > _newest(last)
    ]
    if newer:
        return _decided_by(max(newer, key=_newest), sessions, expiry)
    return _decided_by(last, sessions, expiry)._replace(
        status="expired",
        since=expiry.until(last.status_since),
        verified_at=None,
        verified_until=None,
        next_step="submit",
    )


def _verified_last(session: Session) -> tuple[int, str]:
    return (session.status_since, session.id)


def _newest(session: Session) -> tuple[int, str]:
    return (session.snapshot.created, session.id)


def _decided_by(decisive: Session, sessions: Collection[Session], expiry: Expiry) -> Standing:
    shown, since = decisive.snapshot, decisive.status_since
    verified = shown.status == "verified"
    attempts = sum([session.attempts for session in sessions if session.failed_attempts])
    counted = 0
    if attempts:
        last_verified = max([session.verified_since or 0 for session in sessions])
        counted = sum([session.counted_attempts(last_verified) for session in sessions])
    return Standing(
        status=shown.status,
        session_id=decisive.id,
        since=since,
        verified_at=since if verified else None,
        attempts=attempts,
        last_error_code=shown.last_error_code,
        next_step=next_step(shown.status, shown.last_error_code),
        redaction=shown.redaction,
        attempts_counted=counted,
        verified_until=expiry.until(since) if verified else None,
        type=shown.type,
        verification_flow=shown.verification_flow,
        options=shown.options,
    )


def with_granted(before: Standing | None, resolved: Standing) -> Standing:
    """`resolved` with the attempts that an operator has allowed before.

    They last until a later verification decides: the failed ones are then counted anew.
    """
    if before is None or not before.attempts_granted:
        return resolved
    if resolved.verified_at not in (None, before.verified_at):
        return resolved
    return resolved._replace(attempts_granted=before.attempts_granted)


def with_next_version(before: Standing | None, resolved: Standing, now: int) -> Standing:
    """`resolved` with its version: that of `before` if nothing differs, else a greater one.

    It is the time, or one more than before if that is greater. So a ledger that was lost and
    rebuilt, or restored from a backup, outranks what receivers remember of the one before it, and
    needs to remember nothing itself. `now` is in Unix seconds.
    """
    if before is None:
        return resolved._replace(version=max(1, now))
    if _without_version(resolved) == _without_version(before):
        return before
    return resolved._replace(version=max(before.version + 1, now))


NEXT_STEPS = {
    "abandoned": "retry",
    "device_not_supported": "retry",
    "document_unverified_other": "retry",
    "document_expired": "use_another_document",
    "document_type_not_supported": "use_another_document",
    "document_type_not_allowed": "use_another_document",
    "selfie_document_missing_photo": "use_another_document",
    "consent_declined": "offer_alternative",
    "country_not_supported": "offer_alternative",
    "selfie_manipulated": "review",
    "under_supported_age": "refuse",
}
RETRIED_FAMILIES = ("selfie_", "id_number_", "email_", "phone_")


def next_step(status: str, last_error_code: str | None) -> str:
    """What to ask of the person now. A status or code we do not know is for a human's `review`."""
    if status in ("verified", "canceled"):
        return "none"
    if status == "processing":
        return "wait"
    if status != "requires_input":
        return "review"
    if last_error_code is None:
        return "submit"
    if last_error_code in NEXT_STEPS:
        return NEXT_STEPS[last_error_code]
    return "retry" if last_error_code.startswith(RETRIED_FAMILIES) else "review"
