"""Effects that died are `failed` in the ledger, whoever buried them."""

from __future__ import annotations

from app.queue.connection import translated_errors
from app.queue.model import EFFECTS
from app.stores import Stores

# Letters looked at in one round.
BATCH_SIZE = 500
# In Redis, beside the letters: until when they were looked at, in Unix seconds.
LOOKED_UNTIL = "identity:dead_effects_looked_until"


def record_dead_effects(stores: Stores, now: int) -> int:
    """Mark the effects that died since the last look; returns how many.

    Here and not where they are buried: the ledger may be away then, or the worker die just after.
    Raises QueueUnavailable and the ledger's errors. `now` is in Unix seconds.
    """
    with translated_errors():
        looked_until = stores.redis.get(LOOKED_UNTIL)
    since = float(looked_until) if isinstance(looked_until, bytes) else 0.0
    ids, until = stores.dead_letters(EFFECTS.name).died_after(since, BATCH_SIZE)
    if not ids:
        return 0
    marked = stores.ledger.mark_failed(ids, now)
    with translated_errors():
        stores.redis.set(LOOKED_UNTIL, repr(until))
    return marked
