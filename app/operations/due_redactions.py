"""REDACT_AFTER_DAYS: have what is due redacted, under today's setting and what is true today."""

from __future__ import annotations

from app.domain.durations import DAY
from app.domain.session import Session
from app.operations.effects import enqueue_and_mark
from app.operations.own_account import check_account
from app.queue.backlog import read_backlog
from app.queue.model import EFFECTS
from app.stores import Stores

# Queued effects above which no more are added: others have to be done as well.
CROWDED = 1_000


def is_due(session: Session | None, days: int | None, now: float) -> bool:
    """Whether a session's days are over; None: the setting is off. `now` is in Unix seconds."""
    if session is None or days is None or session.redactable_since is None:
        return False
    return session.redactable_since <= now - days * DAY


def enqueue_due_redactions(stores: Stores, *, limit: int, now: float) -> int:
    """Ask for the redaction of at most `limit` due sessions of the key's mode; returns how many.

    They are effects, each of which looks again before it acts. None if the queue of effects is
    long, or the setting is off. Raises OtherAccount if the key is not of the account that the
    sessions are of; QueueUnavailable, StripeFailure and the ledger's errors.
    """
    days = stores.settings.redact_after_days
    if days is None or read_backlog(stores.redis, EFFECTS).counts["queued"] > CROWDED:
        return 0
    livemode = stores.settings.livemode
    check_account(stores.require_stripe(), stores.ledger, livemode=livemode, now=int(now))
    effects = stores.ledger.redactions.claim_due(
        livemode=livemode,
        before=int(now) - days * DAY,
        limit=limit,
        now=int(now),
    )
    enqueue_and_mark(effects, stores.effects, stores.ledger, now)
    return len(effects)
