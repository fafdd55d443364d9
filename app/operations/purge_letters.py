"""Dead letters of redacted sessions name nobody: those that died where nobody could tell."""

from __future__ import annotations

from app.domain.errors import QueueUnavailable
from app.logs import get_logger
from app.queue.connection import translated_errors
from app.queue.purging import session_of, without_reference
from app.stores import Stores

log = get_logger("redaction")

# Letters looked at in one round.
BATCH_SIZE = 1_000
# In Redis, beside the letters: until when they were looked at, in Unix seconds.
LOOKED_UNTIL = "identity:letters_looked_until"


def purge_new_letters(stores: Stores) -> int:
    """Take the reference out of events that died since the last look; returns of how many.

    A worker asks the ledger before it buries an event. This is for those that were buried while the
    ledger was away, because they killed their workers, or just as their session was redacted.
    Raises QueueUnavailable and the ledger's errors.
    """
    events = stores.events
    with translated_errors():
        looked_until = stores.redis.get(LOOKED_UNTIL)
    since = float(looked_until) if isinstance(looked_until, bytes) else 0.0
    ids, until = stores.dead_letters(events.spec.name).died_after(since, BATCH_SIZE)
    if not ids:
        return 0
    calls = events.calls_of(ids)
    sessions = {id: session_of(data) for id, data in calls.items()}
    redacted = stores.ledger.redactions.done(sorted({s for s in sessions.values() if s}))
    purged = 0
    for id, session in sessions.items():
        bare = without_reference(calls[id]) if session in redacted else None
        if bare is not None:
            purged += events.rewrite(id, bare)
    with translated_errors():
        stores.redis.set(LOOKED_UNTIL, repr(until))
    return purged


def look_again(stores: Stores) -> None:
    """Have the clock look at all letters anew: the ledger has learned of redactions by itself.

    If Redis is away it is logged, and not done.
    """
    try:
        with translated_errors():
            stores.redis.delete(LOOKED_UNTIL)
    except QueueUnavailable as failure:
        log.warning("dead letters of redacted sessions are not looked for", error=str(failure))
