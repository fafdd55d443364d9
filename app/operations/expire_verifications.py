"""REVERIFY_AFTER_DAYS: have verifications expire in time, under today's setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.revision import Revision
from app.operations.effects import enqueue_effects
from app.queue.backlog import read_backlog
from app.queue.model import EFFECTS
from app.stores import Stores

# How far the standings are reviewed, and under which setting: seconds (0: off), a colon, and the
# digest of the last one, or REVIEWED.
CURSOR = "reverify_after"
REVIEWED = "all"
BATCH_SIZE = 500
# Queued effects above which no more are added: others have to be done as well.
CROWDED = 1_000


def expire_verifications(stores: Stores, now: float) -> Iterator[int]:
    """Change all standings that are not what they should be now; yields after each batch.

    `verified_until` is stored, so that it can be read by SQL and is told like any change. After the
    setting was switched on or off, or changed, every standing is therefore reviewed once, a part in
    each run. Else only those are looked at whose time is over. Each yield is how many have changed.
    Ends early if the queue of effects is long. Raises QueueUnavailable and the ledger's errors.
    """
    setting, position = stores.settings.reverify_after or 0, ""
    reviewed_under, _, reached = (stores.ledger.cursors.get(CURSOR) or f"0:{REVIEWED}").partition(
        ":"
    )
    if reviewed_under == str(setting):
        position = reached
    revisions, policy = stores.ledger.revisions, stores.settings.policy
    while position != REVIEWED and not _is_crowded(stores):
        changed, last = revisions.review_after(
            position, policy=policy, limit=BATCH_SIZE, now=int(now)
        )
        _enqueue(changed, stores, now)
        position = REVIEWED if last is None else last
        stores.ledger.cursors.set(CURSOR, f"{setting}:{position}", int(now))
        yield len(changed)
    while setting and not _is_crowded(stores):
        changed = revisions.expire_due(policy=policy, limit=BATCH_SIZE, now=int(now))
        _enqueue(changed, stores, now)
        yield len(changed)
        if len(changed) < BATCH_SIZE:
            return


def _is_crowded(stores: Stores) -> bool:
    return read_backlog(stores.redis, EFFECTS).counts["queued"] > CROWDED


def _enqueue(changed: Sequence[Revision], stores: Stores, now: float) -> None:
    effects = [effect for revision in changed for effect in revision.effects]
    enqueue_effects(effects, stores.effects, now)
