"""Have every session of a reference redacted: by effects, which wait where they have to."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.effects import EffectRow, Redact
from app.domain.session import Session
from app.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was found of one session, and whether its redaction is asked for."""

    session: Session
    asked: bool

    def as_json(self) -> dict[str, str | None]:
        """As HTTP and the command line give it."""
        redaction = "asked" if self.asked else self.session.redaction
        return {"id": self.session.id, "status": self.session.status, "redaction": redaction}


def redact_reference(
    ledger: Ledger, reference: str, *, account: str, livemode: bool, now: int
) -> tuple[list[Redaction], list[EffectRow]] | None:
    """Ask for the redaction of all sessions that are not redacted; None for an unknown reference.

    The effects are committed; the caller queues them, or the clock does. Those of sessions that
    are processing wait until Stripe has decided. `now` is in Unix seconds.
    """
    record = ledger.read_reference(reference, account=account, livemode=livemode)
    if record is None:
        return None
    wanted = [session for session in record.sessions if session.redaction is None]
    effects = ledger.add_effects([_redact(session, now) for session in wanted], now)
    return [Redaction(session, session in wanted) for session in record.sessions], effects


def _redact(session: Session, now: int) -> EffectRow:
    return EffectRow.asked(
        Redact.kind, session.id, session.account, session.livemode, mark=str(now), now=now
    )
