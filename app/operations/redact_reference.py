"""Redact every session of a reference, by effects: they wait until Stripe accepts it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.effects import REDACT, PendingEffect
from app.domain.session import Session
from app.domain.standing import ReferenceKey
from app.logs import get_logger
from app.operations.ask_reference import ask_reference
from app.operations.effects import enqueue_effects
from app.stores import Stores

log = get_logger("redaction")


@dataclass(frozen=True, slots=True)
class Redaction:
    """A session, and whether this call requests its redaction."""

    session: Session
    requested: bool

    def as_json(self) -> dict[str, str | None]:
        """As HTTP and the command line give it."""
        redaction = "asked" if self.requested else self.session.snapshot.redaction
        return {"id": self.session.id, "status": self.session.status, "redaction": redaction}


def redact_reference(
    stores: Stores, reference: str, *, account: str, livemode: bool, now: int
) -> list[Redaction]:
    """Request the redaction of all sessions not yet redacted; [] for an unknown reference.

    Those that Stripe has and the ledger did not know are among them. A session that is processing
    waits until Stripe has decided. `now` is in Unix seconds. Raises Misconfigured without an API
    key, StripeFailure, and the ledger's errors; then nothing is requested.
    """
    sessions = find_sessions(stores, reference, account=account, livemode=livemode, now=now)
    return request_redactions(stores, sessions, now)


def find_sessions(
    stores: Stores, reference: str, *, account: str, livemode: bool, now: int
) -> list[Session]:
    """Every session of the user that the ledger knows, or Stripe; for each purpose newest first.

    Of every purpose: it is the person who is to be forgotten. What Stripe lists is merged first.
    """
    found = ask_reference(stores, ReferenceKey(account, livemode, reference), (), now)
    if not found.complete:
        log.error("more sessions of one reference at Stripe than are listed", account=account)
    purposes = stores.ledger.purposes_of(reference, account=account, livemode=livemode)
    records = [
        stores.ledger.read_reference(reference, account=account, livemode=livemode, purpose=purpose)
        for purpose in purposes
    ]
    return [session for record in records if record is not None for session in record.sessions]


def request_redactions(stores: Stores, sessions: list[Session], now: int) -> list[Redaction]:
    """Request the redaction of those that are not redacted, nor about to be."""
    wanted = [session for session in sessions if session.snapshot.redaction is None]
    effects = [
        PendingEffect.on_session(REDACT, session.key, occasion=str(now), now=now)
        for session in wanted
    ]
    enqueue_effects(stores.ledger.add_effects(effects, now), stores.effects, now)
    return [Redaction(session, session in wanted) for session in sessions]
