"""Redact every session of a reference, by effects: they wait until Stripe accepts it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.effects import PendingEffect, Redact
from app.domain.session import Session
from app.operations.effects import enqueue_effects
from app.stores import Stores


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

    A session that is processing waits until Stripe has decided. `now` is in Unix seconds.
    """
    record = stores.ledger.read_reference(reference, account=account, livemode=livemode)
    if record is None:
        return []
    wanted = [session for session in record.sessions if session.snapshot.redaction is None]
    effects = [
        PendingEffect.on_session(Redact.kind, session.key, occasion=str(now), now=now)
        for session in wanted
    ]
    enqueue_effects(stores.ledger.add_effects(effects, now), stores.effects, now)
    return [Redaction(session, session in wanted) for session in record.sessions]
