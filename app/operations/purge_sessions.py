"""The purges that a batch of events asks for are done with it: each alone would be a commit."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.effects import PendingEffect, Purge
from app.domain.errors import QueueUnavailable
from app.ledger.engine import LedgerBroken, LedgerUnavailable
from app.logs import get_logger
from app.queue.purging import purge_sessions
from app.stores import Stores

log = get_logger("redaction")


def purge_at_once(
    effects: Sequence[PendingEffect], stores: Stores, now: float
) -> Sequence[PendingEffect]:
    """Do the purges among committed effects; gives those effects that are still to be done.

    Most sessions have nothing to purge. If a store is away, the purges are among those that it
    gives. `now` is in Unix seconds.
    """
    purges = [effect for effect in effects if effect.kind == Purge.kind]
    if not purges:
        return effects
    try:
        purge_sessions(stores.events, [effect.session_id for effect in purges])
        stores.ledger.mark_effects([effect.id for effect in purges], "done", int(now))
    except (QueueUnavailable, LedgerUnavailable, LedgerBroken) as failure:
        log.warning("purges are left to a worker", effect_count=len(purges), error=str(failure))
        return effects
    return [effect for effect in effects if effect.kind != Purge.kind]
