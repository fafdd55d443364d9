"""Refresh a reference: ask Stripe about all its sessions now, and say what has changed by that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.domain.session import Session
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey, Standing
from app.ledger.rows import ReferenceRecord
from app.operations.ask_reference import AtStripe, ask_reference
from app.operations.show_reference import session_as_json
from app.stores import Stores

Outcome = Literal["new", "changed", "unchanged", "missing", "not_asked"]


@dataclass(frozen=True, slots=True)
class RefreshedSession:
    """A session of the reference, and what asking Stripe about it has brought."""

    id: str
    outcome: Outcome  # `missing`: Stripe does not know it; `not_asked`: there are too many
    status_before: str | None  # None for a new one
    status: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What has changed by asking."""

    key: ReferenceKey
    before: Standing | None  # None: the reference was never seen
    standing: Standing
    sessions: tuple[RefreshedSession, ...]  # newest first
    complete: bool  # False if there are more sessions than are asked about at once

    @property
    def changed(self) -> bool:
        """Whether the standing differs."""
        return self.standing != self.before

    def as_json(self) -> dict[str, Any]:
        """As HTTP and the command line give it."""
        return {
            "client_reference_id": self.key.reference,
            "account": self.key.account,
            "livemode": self.key.livemode,
            "purpose": self.key.purpose,
            "changed": self.changed,
            "standing_before": None if self.before is None else self.before.as_json(),
            "standing": self.standing.as_json(),
            "sessions": [asdict(session) for session in self.sessions],
            "complete": self.complete,
        }


def refresh_reference(stores: Stores, key: ReferenceKey, now: int) -> Refreshed | None:
    """Ask Stripe, merge what it says with all that follows, and compare.

    None if neither the ledger nor Stripe knows the reference. `now` is in Unix seconds. Raises
    Misconfigured without an API key, StripeFailure, and the ledger's errors.
    """
    before = _read(stores, key)
    known = () if before is None else before.sessions
    found = ask_reference(stores, key, [session.key for session in known], now)
    after = _read(stores, key)
    if after is None:
        return None
    sessions_before = {session.key: session for session in known}
    return Refreshed(
        key,
        None if before is None else before.standing,
        after.standing,
        tuple(_compare(sessions_before, session, found) for session in after.sessions),
        found.complete,
    )


def _read(stores: Stores, key: ReferenceKey) -> ReferenceRecord | None:
    return stores.ledger.read_reference(
        key.reference, account=key.account, livemode=key.livemode, purpose=key.purpose
    )


def _compare(
    before: dict[SessionKey, Session], session: Session, found: AtStripe
) -> RefreshedSession:
    known = before.get(session.key)
    outcome: Outcome
    if known is None:
        outcome = "new"
    elif session.key in found.missing:
        outcome = "missing"
    elif session.key not in {answer.key for answer in found.answers}:
        outcome = "not_asked"
    else:
        same = session_as_json(known) == session_as_json(session)
        outcome = "unchanged" if same else "changed"
    status_before = None if known is None else known.status
    return RefreshedSession(session.id, outcome, status_before, session.status)
